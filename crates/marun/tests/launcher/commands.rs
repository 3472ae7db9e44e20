//! `signal` and `queue`: what they print, where to, and what they end with.

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
        dsn = 'local:data'
        prefix = 'SHOP'
        [broker.one]
        dsn = 'local:data'
        [broker.two]
        dsn = 'local:data'
        [bus.own]
        dsn = 'memory://'
        [broker.own]
        dsn = 'memory://'
        [agent.a]
        backend = 'A'
        ",
    );
    fs::create_dir(folder.path("data")).unwrap();
    fs::write(folder.path("signals.json"), DECLARATIONS).unwrap();
    folder
}

fn a_signal_without_receivers_is_sent_with_a_message_and_called_in_vain(driver: &Driver) {
    let dsn = &driver.dsn;
    let nobody = |prefix: &str| {
        let address = dsn.trim_end_matches('/');
        format!(
            "nobody listens to `ask` on {address} under the prefix {prefix}; \
             check that its receivers run, with this bus and this prefix\n"
        )
    };
    let (other, same) = ("`PUBSUB` (`--prefix` selects another)", "`SHOP`");
    let sent = |prefix| {
        (
            Some(0),
            String::new(),
            format!("marun: sent, but {}", nobody(prefix)),
        )
    };
    let failed = |prefix| (Some(3), String::new(), format!("marun: {}", nobody(prefix)));
    let send = format!("signal send ask n:=1 --bus {dsn}");
    assert_eq!(run(&send), sent(other));
    assert_eq!(run(&format!("{send} --prefix SHOP")), sent(same));
    let call = format!("signal call ask n:=1 --bus {dsn} --timeout 60");
    assert_eq!(run(&call), failed(other));
    assert_eq!(run(&format!("{call} --prefix SHOP")), failed(same));
}

#[test]
fn every_command_refuses_a_memory_that_no_agent_can_reach() {
    let folder = folder();
    let reason = "`memory://` cannot be used by a command: it exists only inside one process, \
                  where no agent can reach it; use `local:PATH` or a server\n";
    let signals = ["send ask", "call ask", "listen ask"].map(|words| ("signal", words, "bus"));
    let queues = [
        "send jobs a=b",
        "send jobs -",
        "length jobs",
        "peek jobs",
        "dead jobs",
        "requeue jobs",
        "release jobs",
        "purge jobs --yes",
    ];
    let queues = queues.map(|words| ("queue", words, "broker"));
    for (tool, words, kind) in signals.into_iter().chain(queues) {
        let refused = |place: &str| (Some(2), String::new(), format!("marun: {place}: {reason}"));
        assert_eq!(
            run(&format!("{tool} {words} --{kind} memory://")),
            refused(&format!("--{kind}"))
        );
        let file = folder.settings();
        let (line, key) = match kind {
            "bus" => (10, "bus.own.dsn"),
            _ => (12, "broker.own.dsn"),
        };
        assert_eq!(
            run(&format!("{tool} {words} --settings {file} --name own")),
            refused(&format!("{file}:{line}: {key}"))
        );
    }
}

#[test]
fn length_prints_one_line_or_one_json_object() {
    let driver = Driver::local();
    let printed = |words: &str| {
        let (code, out, message) = run(&format!("queue length {words} --broker {}", driver.dsn));
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
        run(&format!("queue send jobs a=b --broker {}", driver.dsn)),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn settings_give_the_dsn_and_the_declarations() {
    let folder = folder();
    let file = folder.settings();
    assert_eq!(
        run(&format!(
            "signal send ask n:=1 --settings {file} --name main"
        ))
        .0,
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
    let data = folder.path("data").display().to_string();
    assert_eq!(
        run(&format!(
            "signal send ask n:=1 --bus local:{data} --declarations {declared}"
        ))
        .0,
        Some(0)
    );
}

/// Runs the words of each line, with `FILE` as the settings file and `DSN` as a bus and a broker; all are refused as wrong usage,
/// for these reasons.
fn assert_refused(cases: &[(&str, &str)]) {
    let folder = folder();
    for (line, expected) in cases {
        let data = folder.path("data").display().to_string();
        let line = line.replace("FILE", &folder.settings());
        let line = line.replace("DSN", &format!("local:{data}"));
        let (code, out, message) = run(&line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}: {message}");
        assert!(message.contains(expected), "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn invalid_arguments_are_refused_with_what_is_expected() {
    assert_refused(&[
        ("signal send ask n:=x --bus DSN", "`x` is not valid JSON"),
        ("signal send ask n --bus DSN", "`key=text` or `key:=json`"),
        ("signal send Ask --bus DSN", "Ask"),
        ("signal send ask --sender a:b --bus DSN", "a:b"),
        (
            "signal send ask --bus mail://x",
            "unknown driver `mail://` (available: ",
        ),
        ("signal call ask --timeout soon --bus DSN", "--timeout: "),
        (
            "queue length jobs --broker nonsense",
            "invalid DSN `nonsense`",
        ),
        ("queue length Jobs --broker DSN", "Jobs"),
        ("queue send jobs - a=b --broker DSN", "invalid argument `-`"),
    ]);
}

#[test]
fn an_unknown_name_is_reported_with_the_names_in_the_settings() {
    assert_refused(&[
        (
            "signal send asc --settings FILE --name main",
            "unknown signal `asc`; did you mean `ask`? (available: `ask`)",
        ),
        (
            "signal send ask n=text --settings FILE --name main",
            "signal `ask`",
        ),
        (
            "signal send ask --settings FILE --name man",
            "did you mean `main`?",
        ),
        (
            "queue length jobs --settings FILE",
            "several brokers; choose one with --name (available: `one`, `own`, `two`)",
        ),
        (
            "queue length job --settings FILE --name one",
            "unknown queue `job`; did you mean `jobs`? (available: `jobs`)",
        ),
        (
            "queue length jobs --settings FILE.none",
            "cannot read the settings",
        ),
    ]);
}

on_every_driver![
    a_signal_without_receivers_is_sent_with_a_message_and_called_in_vain,
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
fn a_message_that_one_command_sends_is_counted_by_the_next() {
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
