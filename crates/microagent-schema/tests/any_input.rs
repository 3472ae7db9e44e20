//! Tests that the parsers never panic on any input: a panic would end a compiler or an agent.

use std::collections::HashSet;

use microagent_schema::{CronSpec, Declarations, Field, JsonType, names, parse_duration};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Generates a name that is often valid, sometimes reserved and sometimes meaningless.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z_][a-z0-9_]{0,3}",
        1 => prop::sample::select(vec!["response", "signal", "sender", "self", "", "A", "a.b"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Generates any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        name().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// Generates the types of one argument.
fn types() -> impl Strategy<Value = Value> {
    let known = prop::sample::select(JsonType::ALL.map(JsonType::name).to_vec());
    prop_oneof![
        3 => known.clone().prop_map(Value::from),
        2 => prop::collection::vec(known, 0..3).prop_map(Value::from),
        1 => any_json(),
    ]
}

/// Generates the arguments of one signal, in either form.
fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => prop::collection::vec(name(), 0..4).prop_map(Value::from),
        3 => prop::collection::vec((name(), types()), 0..4).prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        1 => any_json(),
    ]
}

/// Generates a file that has the structure of declarations, with occasional mistakes.
fn nearly_valid() -> impl Strategy<Value = Value> {
    let signals = prop::collection::vec((name(), arguments()), 0..4);
    let queues = prop::collection::vec(
        (
            name(),
            prop::option::of(any_json()),
            prop::option::of(any_json()),
        ),
        0..3,
    );
    (signals, queues, prop::option::of(name())).prop_map(|(signals, queues, prefix)| {
        let signals = signals
            .into_iter()
            .map(|(name, args)| json!({"name": name, "providing_args": args}));
        let queues = queues.into_iter().map(|(name, exchange, topics)| {
            let mut queue = json!({"name": name});
            exchange
                .into_iter()
                .for_each(|value| queue["exchange"] = value);
            topics.into_iter().for_each(|value| queue["topics"] = value);
            queue
        });
        let mut file =
            json!({"signals": signals.collect::<Vec<_>>(), "queues": queues.collect::<Vec<_>>()});
        prefix
            .into_iter()
            .for_each(|value| file["default_prefix"] = value.into());
        file
    })
}

/// Asserts that the declarations contain only valid names, and each name once.
fn assert_well_named(declared: &Declarations) {
    let signals: HashSet<_> = declared.signals.iter().map(|signal| &signal.name).collect();
    assert_eq!(signals.len(), declared.signals.len());
    assert!(
        signals
            .into_iter()
            .all(|name| names::check_signal(name).is_ok())
    );
    let queues: HashSet<_> = declared.queues.iter().map(|queue| &queue.name).collect();
    assert_eq!(queues.len(), declared.queues.len());
    assert!(
        queues
            .into_iter()
            .all(|name| names::check_queue(name).is_ok())
    );
    for signal in &declared.signals {
        let arguments: HashSet<_> = signal
            .arguments
            .iter()
            .map(|argument| &argument.name)
            .collect();
        assert_eq!(arguments.len(), signal.arguments.len());
        assert!(
            arguments
                .into_iter()
                .all(|name| names::check_argument(name).is_ok())
        );
    }
}

/// Parses a text. If it is rejected, asserts that every problem has a place and a reason.
fn read(text: &str) {
    match Declarations::parse(text) {
        Ok(declared) => assert_well_named(&declared),
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(
                error
                    .problems()
                    .iter()
                    .all(|p| !p.place.is_empty() && !p.message.is_empty())
            );
        }
    }
}

proptest! {
    #[test]
    fn any_text_as_declarations(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_bytes_as_declarations(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_json_as_declarations(json in any_json()) {
        read(&json.to_string());
    }

    #[test]
    fn nearly_valid_declarations(json in nearly_valid()) {
        read(&json.to_string());
    }

    #[test]
    fn declarations_with_a_flipped_byte(json in nearly_valid(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = json.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = with;
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_payload_violates_nothing_exactly_when_it_has_the_declared_names_and_types(
        args in prop::collection::hash_map("[a-b]", types(), 0..3),
        payload in prop::collection::hash_map("[a-b]", any_json(), 0..3),
    ) {
        let file = json!({"signals": [{"name": "s", "providing_args": args}]});
        let Ok(declared) = Declarations::parse(&file.to_string()) else { return Ok(()) };
        let signal = &declared.signals[0];
        let payload = Map::from_iter(payload);

        let same_names = signal.arguments.len() == payload.len()
            && signal.arguments.iter().all(|argument| payload.contains_key(&argument.name));
        let fits = same_names
            && signal.arguments.iter().all(|a| a.types.contains(&JsonType::of(&payload[&a.name])));
        prop_assert_eq!(signal.violations(&payload).is_empty(), fits);
    }

    #[test]
    fn any_text_as_a_duration(text in any::<String>()) {
        let _ = parse_duration(&text);
    }

    #[test]
    fn number_like_texts_as_a_duration(text in "[-+]?[0-9]{0,25}[.]?[0-9]{0,25}( ?[a-z]{0,3})?") {
        let _ = parse_duration(&text);
    }

    #[test]
    fn any_text_as_a_schedule(text in any::<String>()) {
        let _ = CronSpec::parse(&text);
    }

    #[test]
    fn nearly_valid_schedules(text in "([-*/,0-9a-z]{1,4}[ \t]){4,5}[*/,0-9a-z@]{1,5}|@[a-z]{4,8}|([*]|[0-9]|[1-5]-[5-9]/?[0-9]?|[a-z]{3}) ([*]|[0-9]|[0-9]{1,2}) [1-9*] [1-9*] [0-7*]") {
        match CronSpec::parse(&text) {
            Ok(spec) => {
                let sets = [spec.minutes(), spec.hours(), spec.days_of_month(), spec.months(), spec.days_of_week()];
                for (set, field) in sets.into_iter().zip(Field::ALL) {
                    prop_assert!(!set.is_empty() && set.iter().all(|value| field.range().contains(&value)));
                }
                prop_assert!(!spec.days_of_week().contains(7));
                let _ = spec.differs_in_python();
            }
            Err(error) => prop_assert!(!error.message.is_empty()),
        }
    }
}
