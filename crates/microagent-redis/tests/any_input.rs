//! Any input from outside: DSNs from settings, and the channels and bodies that any client of a Redis may publish. The replies of the server have such tests beside their decoders.

use std::collections::BTreeMap;

use microagent_core::{Channel, ErrorKind, Fields, Payload, pattern_matches};
use microagent_redis::RedisOptions;
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use serde_json::Value;

/// The same inputs in every run: what fails once fails always.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1024,
        rng_seed: RngSeed::Fixed(0x7265_6469_7300),
        ..ProptestConfig::default()
    }
}

/// Text that is made of what a DSN is made of.
fn nearly_a_dsn() -> impl Strategy<Value = String> {
    let scheme = "(redis|rediss|redis\\+(unix|sentinel|cluster))://";
    let rest = vec(
        prop_oneof![
            prop::sample::select(vec![
                ":",
                "@",
                "/",
                "?",
                "&",
                "=",
                ",",
                "[",
                "]",
                "%",
                "%41",
                "%zz",
                "::1",
                "0",
                "6379",
                "65536",
                "-1",
                "localhost",
                "db",
                "timeout",
                "ca",
            ])
            .prop_map(str::to_owned),
            "[a-zé]{0,3}",
        ],
        0..12,
    );
    (scheme, rest).prop_map(|(scheme, rest)| format!("{scheme}{}", rest.concat()))
}

/// A DSN is understood, or refused as a mistake in the settings.
fn understood(dsn: &str) -> Result<(), TestCaseError> {
    match RedisOptions::parse(dsn) {
        Ok(options) => {
            let text = format!("{options:?}");
            prop_assert!(!text.is_empty());
        }
        Err(error) => {
            let kinds = [ErrorKind::Configuration, ErrorKind::Unsupported];
            prop_assert!(kinds.contains(&error.kind()), "{}", error);
        }
    }
    Ok(())
}

/// A channel that a peer may have written, mostly of the right shape.
fn channel() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Z]{0,3}:[a-z]{0,3}:[a-z]{0,3}(#[a-z0-9-]{0,4})?",
        2 => "[A-Za:#*]{0,12}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_as_a_dsn(text in any::<String>()) {
        understood(&text)?;
    }

    #[test]
    fn nearly_a_dsn_as_one(dsn in nearly_a_dsn()) {
        understood(&dsn)?;
    }

    #[test]
    fn no_password_is_told(
        scheme in "(redis|rediss|redis\\+(unix|sentinel|cluster))",
        password in "[a-zA-Z0-9]{12,20}",
        rest in "[a-z:,@?=&%/0-9]{0,16}",
    ) {
        let dsn = format!("{scheme}://user:{password}@{rest}");
        let text = match RedisOptions::parse(&dsn) {
            Ok(options) => format!("{options:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!text.contains(&password), "{}", text);
    }

    #[test]
    fn any_channel(name in channel()) {
        if let Some(channel) = Channel::parse(&name) {
            prop_assert_eq!(channel.to_string(), name.clone(), "it is written as it was read");
            let pattern = Channel::pattern_of(channel.prefix, channel.signal);
            let is_literal = !channel.prefix.contains('*') && !channel.signal.contains('*');
            prop_assert!(!is_literal || pattern_matches(&pattern, &name));
        }
    }

    #[test]
    fn any_pattern_and_channel(pattern in "[ab:*#]{0,12}", name in "[ab:#]{0,24}") {
        // It ends, whatever it finds, and a star in front of it only makes it hear more.
        if pattern_matches(&pattern, &name) {
            let wider = format!("*{pattern}");
            prop_assert!(pattern_matches(&wider, &name));
        }
    }

    #[test]
    fn any_bytes_as_a_body(body in vec(any::<u8>(), 0..64)) {
        if let Err(error) = Fields::of(&body) {
            prop_assert_eq!(error.kind(), ErrorKind::Decode, "{}", error);
        }
        if let Err(error) = Payload::<BTreeMap<String, Value>>::decode(&body) {
            prop_assert_eq!(error.kind(), ErrorKind::Decode, "{}", error);
        }
    }

    #[test]
    fn any_object_as_a_body(object in prop::collection::btree_map(".{0,4}", any::<i64>(), 0..6)) {
        let body = serde_json::to_vec(&object)?;
        let fields = Fields::of(&body)?;
        for (name, value) in &object {
            prop_assert_eq!(fields.get::<i64>(name)?, *value);
        }
    }

    #[test]
    fn any_braces_as_a_body(body in "[\\[\\]{}:,\"a0 ]{0,200}") {
        if let Err(error) = Fields::of(body.as_bytes()) {
            prop_assert_eq!(error.kind(), ErrorKind::Decode, "{}", error);
        }
    }
}
