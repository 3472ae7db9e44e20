//! The format of `signals.json`: what is read, what is refused and where.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use microagent_schema::{Declarations, JsonType, QueueDeclaration};

/// Every problem of a text, as its sentences.
fn problems(json: &str) -> Vec<String> {
    let error = Declarations::parse(json).unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

/// The one problem of an entry in `signals`.
fn signal_problem(entry: &str) -> String {
    let [problem] = problems(&format!(r#"{{"signals": [{entry}]}}"#))
        .try_into()
        .unwrap();
    problem
}

/// The one problem of an entry in `queues`.
fn queue_problem(entry: &str) -> String {
    let [problem] = problems(&format!(r#"{{"queues": [{entry}]}}"#))
        .try_into()
        .unwrap();
    problem
}

#[test]
fn the_documented_file_is_read() {
    let declared = Declarations::parse(
        r#"{ "version": 2,
             "signals": [ {"name": "started", "providing_args": []},
                          {"name": "user_created", "providing_args": ["user_id"]},
                          {"name": "comment_created", "providing_args": {"comment_id": ["number", "null"], "user_id": "number"}} ],
             "queues":  [ {"name": "mailer"}, {"name": "pusher", "exchange": "events"}, {"name": "save", "exchange": "msg", "topics": ["m.*"]} ] }"#,
    )
    .unwrap();

    assert_eq!(
        (declared.version, declared.default_prefix.as_deref()),
        (2, None)
    );
    assert!(declared.warnings.is_empty());
    let names: Vec<_> = declared
        .signals
        .iter()
        .map(|signal| signal.name.as_str())
        .collect();
    assert_eq!(names, ["started", "user_created", "comment_created"]);

    let untyped = declared.signal("user_created").unwrap();
    assert!(!untyped.typed && untyped.arguments[0].types.is_empty());
    let typed = declared.signal("comment_created").unwrap();
    assert!(typed.typed);
    let arguments: Vec<_> = typed
        .arguments
        .iter()
        .map(|a| (a.name.as_str(), a.types.as_slice()))
        .collect();
    assert_eq!(
        arguments,
        [
            ("comment_id", [JsonType::Number, JsonType::Null].as_slice()),
            ("user_id", &[JsonType::Number]),
        ]
    );
    let save = QueueDeclaration {
        name: "save".to_owned(),
        exchange: Some("msg".to_owned()),
        topics: vec!["m.*".to_owned()],
    };
    assert_eq!(declared.queue("save"), Some(&save));
    assert_eq!(declared.queue("mailer").unwrap().exchange, None);
    assert!(declared.queue("absent").is_none() && declared.signal("absent").is_none());
}

#[test]
fn an_empty_object_declares_nothing() {
    assert_eq!(Declarations::parse("{}").unwrap(), Declarations::default());
}

#[test]
fn arguments_keep_the_order_of_the_file() {
    let declared = Declarations::parse(
        r#"{"signals": [{"name": "s", "providing_args": {"z": "number", "a": "string", "m": "null"}}]}"#,
    )
    .unwrap();
    let names: Vec<_> = declared.signals[0]
        .arguments
        .iter()
        .map(|a| a.name.as_str())
        .collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn the_default_prefix_is_read_and_checked() {
    let declared = Declarations::parse(r#"{"default_prefix": "PREF"}"#).unwrap();
    assert_eq!(declared.default_prefix.as_deref(), Some("PREF"));
    for bad in ["", "a:b", "a#b", "a*", "a?", "[", "]"] {
        let [problem] = problems(&format!(r#"{{"default_prefix": "{bad}"}}"#))
            .try_into()
            .unwrap();
        assert!(
            problem.starts_with("default_prefix: ") && problem.contains("invalid prefix"),
            "{problem}"
        );
    }
}

#[test]
fn jsonlib_is_a_warning() {
    let declared = Declarations::parse(r#"{"jsonlib": "orjson"}"#).unwrap();
    assert_eq!(declared.warnings.len(), 1);
    assert!(declared.warnings[0].contains("`jsonlib`"));
}

#[test]
fn a_single_topic_is_a_list_of_one_with_a_warning() {
    let declared = Declarations::parse(
        r#"{"queues": [{"name": "save", "exchange": "msg", "topics": "m.*"}]}"#,
    )
    .unwrap();
    assert_eq!(declared.queues[0].topics, ["m.*"]);
    assert!(
        declared.warnings[0].starts_with("queues[0].topics: "),
        "{:?}",
        declared.warnings
    );
}

#[test]
fn topics_without_an_exchange_are_a_warning() {
    let declared = Declarations::parse(r#"{"queues": [{"name": "q", "topics": ["a"]}]}"#).unwrap();
    assert!(
        declared.warnings[0].starts_with("queues[0]: "),
        "{:?}",
        declared.warnings
    );
}

#[test]
fn an_empty_exchange_is_none_as_in_python() {
    let declared = Declarations::parse(r#"{"queues": [{"name": "q", "exchange": ""}]}"#).unwrap();
    assert_eq!(declared.queues[0].exchange, None);
}

#[test]
fn a_syntax_error_names_line_and_column() {
    assert_eq!(
        problems("{\n  \"signals\": [,]\n}"),
        ["line 2, column 15: invalid JSON: expected value"]
    );
    assert!(problems("")[0].starts_with("line 1, column 0: "));
}

#[test]
fn wrong_shapes_are_refused_with_their_place() {
    assert_eq!(
        problems("[]"),
        [
            "the document: an object with `version`, `signals`, `queues`, `default_prefix`, `jsonlib` \
             is expected here, but this is an array"
        ]
    );
    assert_eq!(
        problems(r#"{"signals": {}, "queues": [7], "default_prefix": null}"#),
        [
            "default_prefix: a string is expected here, but this is null",
            "signals: a list is expected here, but this is an object",
            "queues[0]: an object with `name`, `exchange`, `topics` is expected here, but this is a number",
        ]
    );
}

#[test]
fn versions_other_than_one_and_two_are_refused() {
    for version in ["0", "3", "\"2\"", "2.0", "null", "-1"] {
        let expected = format!("version: {version} is not known: 1 and 2 are");
        assert_eq!(
            problems(&format!(r#"{{"version": {version}}}"#)),
            [expected]
        );
    }
}

#[test]
fn unknown_keys_are_refused() {
    assert!(
        problems(r#"{"signlas": []}"#)[0]
            .starts_with("signlas: this key is not known: `version`, ")
    );
    assert_eq!(
        signal_problem(r#"{"name": "a", "providing_args": [], "args": []}"#),
        "signals[0].args: this key is not known: `name`, `providing_args` are"
    );
    assert_eq!(
        queue_problem(r#"{"name": "a", "a b": 1}"#),
        r#"queues[0]["a b"]: this key is not known: `name`, `exchange`, `topics` are"#
    );
}

#[test]
fn missing_keys_are_refused() {
    assert!(
        signal_problem(r#"{"name": "a"}"#).starts_with("signals[0]: `providing_args` is missing")
    );
    assert_eq!(
        signal_problem(r#"{"providing_args": []}"#),
        "signals[0]: `name` is missing"
    );
    assert_eq!(queue_problem("{}"), "queues[0]: `name` is missing");
}

#[test]
fn bad_names_are_refused() {
    assert!(
        signal_problem(r#"{"name": "UserCreated", "providing_args": []}"#)
            .starts_with("signals[0].name: invalid signal name `UserCreated`: ")
    );
    for name in ["response", "status"] {
        let problem = signal_problem(&format!(r#"{{"name": "{name}", "providing_args": []}}"#));
        let expected = format!("signals[0].name: invalid signal name `{name}`: ");
        assert!(problem.starts_with(&expected), "{problem}");
    }
    assert!(
        queue_problem(r#"{"name": "q.dead"}"#)
            .starts_with("queues[0].name: invalid queue name `q.dead`: ")
    );
    assert!(
        signal_problem(r#"{"name": "a", "providing_args": ["ok", "sender"]}"#)
            .starts_with("signals[0].providing_args[1]: invalid argument name `sender`: ")
    );
    assert!(
        signal_problem(r#"{"name": "a", "providing_args": {"signal": "number"}}"#)
            .starts_with("signals[0].providing_args.signal: invalid argument name `signal`: ")
    );
}

#[test]
fn bad_types_are_refused() {
    assert_eq!(
        signal_problem(r#"{"name": "a", "providing_args": {"code": "int"}}"#),
        "signals[0].providing_args.code: invalid JSON type \"int\": \
         expected `string`, `number`, `boolean`, `array`, `object`, `null`, or a list of them"
    );
    assert!(
        signal_problem(r#"{"name": "a", "providing_args": {"code": ["number", 7]}}"#)
            .starts_with("signals[0].providing_args.code[1]: invalid JSON type 7: expected ")
    );
    assert!(
        signal_problem(r#"{"name": "a", "providing_args": {"code": []}}"#)
            .starts_with("signals[0].providing_args.code: no type is named: ")
    );
    assert_eq!(
        signal_problem(r#"{"name": "a", "providing_args": "code"}"#),
        "signals[0].providing_args: a list of names, or an object of names and types, is expected here, \
         but this is a string"
    );
}

#[test]
fn duplicates_are_refused() {
    let signal = r#"{"name": "a", "providing_args": []}"#;
    assert_eq!(
        problems(&format!(r#"{{"signals": [{signal}, {signal}]}}"#)),
        ["signals[1]: `a` is declared by signals[0] already"]
    );
    assert_eq!(
        problems(r#"{"queues": [{"name": "q"}, {"name": "r"}, {"name": "q"}]}"#),
        ["queues[2]: `q` is declared by queues[0] already"]
    );
    assert_eq!(
        signal_problem(r#"{"name": "a", "providing_args": ["x", "y", "x"]}"#),
        "signals[0].providing_args[2]: `x` is declared by signals[0].providing_args[0] already"
    );
    assert_eq!(
        signal_problem(r#"{"name": "a", "providing_args": {"x": "null", "x": "number"}}"#),
        "signals[0].providing_args.x: this key stands here twice: one of the two must go"
    );
    assert_eq!(
        signal_problem(r#"{"name": "a", "providing_args": {"x": ["null", "null"]}}"#),
        "signals[0].providing_args.x[1]: `null` is declared by signals[0].providing_args.x[0] already"
    );
}

#[test]
fn a_queue_and_a_signal_may_share_a_name() {
    let file = r#"{"signals": [{"name": "a", "providing_args": []}], "queues": [{"name": "a"}]}"#;
    assert!(Declarations::parse(file).is_ok());
}

#[test]
fn several_problems_are_told_at_once() {
    let error = Declarations::parse(r#"{"version": 9, "queues": [{"name": "Q"}, {"name": 1}]}"#)
        .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("3 problems:\n- version: 9 "), "{text}");
    assert!(
        text.contains("\n- queues[0].name: ") && text.contains("\n- queues[1].name: "),
        "{text}"
    );
}
