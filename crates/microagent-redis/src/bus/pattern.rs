//! From the contract's patterns, in which only `*` is special, to the server's globs.

/// The glob that matches what the pattern matches.
pub(super) fn to_glob(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        if matches!(character, '?' | '[' | ']' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_star_is_special() {
        assert_eq!(to_glob("PUBSUB:started:*"), "PUBSUB:started:*");
        assert_eq!(to_glob(r"a?[b]\c"), r"a\?\[b\]\\c");
    }
}
