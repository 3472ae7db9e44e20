//! `signal` and `queue`: what they print, where to, and what they end with. `memory://` ends with
//! each command, so it is enough for everything that needs no peer.

use std::{fs, io::Write, process::Stdio};

use crate::{
    driver::{Driver, on_every_driver},
    group::{Folder, marun, output_of},
};

const DECLARATIONS: &str = r#"{
    "version": 2,
    "signals": [{"name": "ask", "providing_args": {"n": "number"}}],
    "queues": [{"name": "jobs"}]
}"#;

/// Runs the words of a line.
fn run(line: &str) -> (Option<i32>, String, String) {
    output_of(marun(), &line.split_whitespace().collect::<Vec<_>>())
}

/// A settings file with a bus, two brokers and declarations.
fn folder() -> Folder {
    let folder = Folder::with(
        "declarations = 'signals.json'
        [bus.main]
        dsn = 'memory://'
        prefix = 'SHOP'
        [broker.one]
        dsn = 'memory://'
        [broker.two]
        dsn = 'memory://'
        [agent.a]
        backend = 'A'
        ",
    );
    fs::write(folder.path("signals.json"), DECLARATIONS).unwrap();
    folder
}

#[test]
fn sending_says_nothing_and_calling_nobody_has_its_own_code() {
    assert_eq!(
        run("signal send ask n:=1 --bus memory://"),
        (Some(0), String::new(), String::new())
    );
    let (code, out, message) = run("signal call ask n:=1 --bus memory:// --timeout 60");
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert_eq!(
        message,
        "marun: nobody listens to `ask` under the prefix `PUBSUB`; `--prefix` selects another\n"
    );
    let (code, _, message) = run("signal call ask n:=1 --bus memory:// --prefix SHOP");
    assert_eq!(code, Some(3));
    assert_eq!(
        message,
        "marun: nobody listens to `ask` under the prefix `SHOP`\n"
    );
}

#[test]
fn length_prints_one_line_or_one_json_object() {
    let printed = |words: &str| {
        let (code, out, message) = run(&format!("queue length {words} --broker memory://"));
        assert_eq!((code, message.as_str()), (Some(0), ""), "{words}");
        out
    };
    assert_eq!(
        printed("jobs"),
        "0 waiting, 0 in flight, 0 delayed, 0 dead\n"
    );
    assert_eq!(
        printed("jobs --json"),
        "{\"queue\":\"jobs\",\"waiting\":0,\"in_flight\":0,\"delayed\":0,\"dead\":0}\n"
    );
    assert_eq!(
        printed("jobs.dead"),
        "0 waiting, 0 in flight, 0 delayed\n",
        "a queue of dead letters has none of its own"
    );
    assert_eq!(
        run("queue send jobs a=b --broker memory://"),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn settings_give_the_dsn_and_the_declarations() {
    let folder = folder();
    let file = folder.settings();
    assert_eq!(
        run(&format!("signal send ask n:=1 --settings {file}")).0,
        Some(0)
    );
    assert_eq!(
        run(&format!("queue length jobs --settings {file} --name one")).0,
        Some(0)
    );
    assert_eq!(
        run(&format!(
            "queue length jobs.dead --settings {file} --name two"
        ))
        .0,
        Some(0)
    );
    let declared = folder.path("signals.json").display().to_string();
    assert_eq!(
        run(&format!(
            "signal send ask n:=1 --bus memory:// --declarations {declared}"
        ))
        .0,
        Some(0)
    );
}

/// Runs the words of each line, with `FILE` as the settings file; all are refused as wrong usage,
/// for these reasons.
fn assert_refused(cases: &[(&str, &str)]) {
    let folder = folder();
    for (line, expected) in cases {
        let line = line.replace("FILE", &folder.settings());
        let (code, out, message) = run(&line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}: {message}");
        assert!(message.contains(expected), "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn wrong_arguments_say_what_is_allowed() {
    assert_refused(&[
        (
            "signal send ask n:=x --bus memory://",
            "`x` is not valid JSON",
        ),
        (
            "signal send ask n --bus memory://",
            "`key=text` or `key:=json`",
        ),
        ("signal send Ask --bus memory://", "Ask"),
        ("signal send ask --sender a:b --bus memory://", "a:b"),
        (
            "signal send ask --bus mail://x",
            "unknown driver `mail://` (available: ",
        ),
        (
            "signal call ask --timeout soon --bus memory://",
            "--timeout: ",
        ),
        (
            "queue length jobs --broker nonsense",
            "invalid DSN `nonsense`",
        ),
        ("queue length Jobs --broker memory://", "Jobs"),
        (
            "queue send jobs - a=b --broker memory://",
            "invalid argument `-`",
        ),
    ]);
}

#[test]
fn what_the_settings_do_not_have_is_said_with_what_they_have() {
    assert_refused(&[
        ("signal send asc --settings FILE", "known are `ask`"),
        ("signal send ask n=text --settings FILE", "signal `ask`"),
        (
            "signal send ask --settings FILE --name man",
            "did you mean `main`?",
        ),
        (
            "queue length jobs --settings FILE",
            "several brokers; choose one with --name (available: `one`, `two`)",
        ),
        (
            "queue length job --settings FILE --name one",
            "known are `jobs`",
        ),
        (
            "queue length jobs --settings FILE.none",
            "cannot read the settings",
        ),
    ]);
}

on_every_driver![
    each_line_of_standard_input_is_a_message,
    the_first_bad_line_is_named_and_ends_it,
];

/// Runs `queue send jobs -` with this standard input; its exit code and messages.
fn send_lines(broker: &str, input: &[u8]) -> (Option<i32>, String) {
    let mut command = marun();
    command.args(["queue", "send", "jobs", "-", "--broker", broker]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"");
    if output.status.success() {
        written.unwrap();
    }
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn each_line_of_standard_input_is_a_message(driver: &Driver) {
    let sent = |count| {
        (
            Some(0),
            format!("marun: sent {count} message(s) to `jobs`\n"),
        )
    };
    assert_eq!(send_lines(&driver.dsn, b""), sent(0));
    assert_eq!(
        send_lines(&driver.dsn, b"{\"a\": 1}\n\n  {}  \n{}"),
        sent(3)
    );
    let many: String = (0..10_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    assert_eq!(send_lines(&driver.dsn, many.as_bytes()), sent(10_000));
    let (code, out, message) = run(&format!("queue length jobs --broker {}", driver.dsn));
    assert_eq!((code, message.as_str()), (Some(0), ""));
    assert!(out.starts_with("10003 waiting, "), "{out}");
}

#[test]
fn what_one_command_sends_the_next_one_counts() {
    let folder = Folder::with("");
    let dsn = format!("local:{}", folder.path("data").display());
    let lines = b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    let (code, messages) = send_lines(&dsn, lines);
    assert_eq!(code, Some(0));
    let new = format!("marun: `{dsn}` is new: the folder did not exist\n");
    assert_eq!(
        messages,
        format!("{new}marun: sent 2 message(s) to `jobs`\n")
    );
    let (code, out, message) = run(&format!("queue length jobs --broker {dsn}"));
    assert_eq!((code, message.as_str()), (Some(0), ""));
    assert!(out.starts_with("2 waiting, "), "{out}");
    assert_eq!(run(&format!("signal call ask n=1 --bus {dsn}")).0, Some(3));
}

fn the_first_bad_line_is_named_and_ends_it(driver: &Driver) {
    let cases: [(&[u8], i32, &str); 4] = [
        (
            b"{}\n{}\n[1]\n{}\n",
            2,
            "line 3: invalid message: expected a JSON object",
        ),
        (b"{}\n{}\n{\n{}\n", 2, "line 3: invalid JSON"),
        (b"{}\n\n{}\n\xff\n{}\n", 1, "line 4: "),
        (b"{}\n{}\n{} {}\n", 2, "line 3: invalid JSON"),
    ];
    for (input, code, expected) in cases {
        let (ended, messages) = send_lines(&driver.dsn, input);
        assert_eq!(ended, Some(code), "{messages}");
        let lines: Vec<_> = messages.lines().collect();
        assert!(
            lines[0].contains(expected) && lines[0].contains("standard input"),
            "{messages}"
        );
        assert_eq!(lines[1..], ["marun: sent 2 message(s) to `jobs`"]);
    }
    let length = run(&format!("queue length jobs --broker {}", driver.dsn));
    let before = length.1.starts_with("8 waiting, ");
    assert!(before, "what came before is sent: {length:?}");
}
