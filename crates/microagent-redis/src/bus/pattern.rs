//! From the contract's patterns, in which only `*` is special, to the server's globs.
//!
//! A pattern without a star is one channel. It is subscribed to by its name, because the server lists only such
//! subscriptions.

/// Returns the name of the channel if the pattern is one, otherwise the glob. Only a glob has a star.
pub(super) fn to_server(pattern: &str) -> String {
    if is_glob(pattern) {
        to_glob(pattern)
    } else {
        pattern.to_owned()
    }
}

/// Returns true for a glob, and false for the name of a channel.
pub(super) fn is_glob(on_server: &str) -> bool {
    on_server.contains('*')
}

/// Returns the glob of all channels that begin with this text.
pub(super) fn with_head(head: &str) -> String {
    let mut glob = String::with_capacity(head.len() + 1);
    for part in head.split_inclusive('*') {
        let (literal, star) = part
            .strip_suffix('*')
            .map_or((part, ""), |literal| (literal, "\\*"));
        glob.push_str(&to_glob(literal));
        glob.push_str(star);
    }
    glob.push('*');
    glob
}

/// The glob that matches what the pattern matches.
fn to_glob(pattern: &str) -> String {
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
    use microagent_core::pattern_matches;
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    /// Matches like the server, for a glob without classes: a backslash makes the next byte an ordinary one.
    fn server_matches(glob: &[u8], name: &[u8]) -> bool {
        match (glob, name) {
            ([b'*', glob @ ..], _) => {
                (0..=name.len()).any(|skipped| server_matches(glob, &name[skipped..]))
            }
            ([b'?' | b'[', ..], _) => panic!("only a star may be special"),
            ([b'\\', byte, glob @ ..] | [byte, glob @ ..], [first, name @ ..]) => {
                byte == first && server_matches(glob, name)
            }
            ([], []) => true,
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2048,
            rng_seed: RngSeed::Fixed(0x676c_6f62),
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_server_hears_what_the_contract_says(
            pattern in r"[ab?*\[\]\\]{0,6}",
            name in r"[ab?\[\]\\]{0,6}",
        ) {
            let matches = server_matches(to_glob(&pattern).as_bytes(), name.as_bytes());
            prop_assert_eq!(matches, pattern_matches(&pattern, &name), "{}", to_glob(&pattern));
        }

        #[test]
        fn any_pattern_hears_itself(pattern in any::<String>()) {
            prop_assume!(!pattern.contains('*'));
            prop_assert!(server_matches(to_glob(&pattern).as_bytes(), pattern.as_bytes()));
        }
    }

    #[test]
    fn a_head_is_literal() {
        assert_eq!(with_head("P:a*b?"), r"P:a\*b\?*");
        assert!(server_matches(with_head("a*").as_bytes(), b"a*b"));
        assert!(!server_matches(with_head("a*").as_bytes(), b"ab"));
    }

    #[test]
    fn a_channel_keeps_its_name() {
        assert_eq!(to_server("P:a?:b"), "P:a?:b");
        assert_eq!(to_server("P:a?:*"), r"P:a\?:*");
    }

    #[test]
    fn only_a_star_is_special() {
        assert_eq!(to_glob("PUBSUB:started:*"), "PUBSUB:started:*");
        assert_eq!(to_glob(r"a?[b]\c"), r"a\?\[b\]\\c");
    }
}
