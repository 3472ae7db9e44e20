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
    fn only_a_star_is_special() {
        assert_eq!(to_glob("PUBSUB:started:*"), "PUBSUB:started:*");
        assert_eq!(to_glob(r"a?[b]\c"), r"a\?\[b\]\\c");
    }
}
