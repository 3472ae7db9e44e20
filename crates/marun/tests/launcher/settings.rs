//! Bad settings: one message with file, line, key and what is allowed, exit code 2, and nothing is started.

use std::{fs, path::PathBuf};

use crate::group::{Folder, marun, output_of, program, program_path};

/// Runs `run`, the same without the word, `check` and `info` on a settings file; all must refuse it with one
/// message, which holds these texts.
pub(crate) fn refused(folder: &Folder, texts: &[&str]) {
    let file = folder.settings();
    for words in [&["run"][..], &[], &["check"], &["info"]] {
        let (code, out, message) = output_of(marun(), &[words, &[&file]].concat());
        assert_eq!(code, Some(2), "{message}");
        assert_eq!(out, "", "{words:?} {file}");
        assert_eq!(message.lines().count(), 1, "{message}");
        for text in [&["marun: ", &file][..], texts].concat() {
            assert!(message.contains(text), "`{text}` is missing: {message}");
        }
    }
}

#[test]
fn all_problems_of_all_files_are_told_at_once() {
    let one = Folder::of(
        "tz = 'Europe/Berlim'
[bus.main]
dsn = 'redsi://localhost'
[bus.spare]
dsn = 'kafka://localhost'
[agent.a]
backend = 'Wroker'
[agent.b]
backend = 'Worker'
bus = 'main'
[agent.b.handlers.work]
timout = 1
on_error = 'ignore'
[agent.b.handlers.wrok]
timeout = 1
[agent.c]
backend = 'Bare'
grace = 'soon'
settings = { key = '${MARUN_TEST_UNSET}' }
",
    );
    let other = Folder::with("[agent.a\n");
    let third = Folder::with("[agent.a]\nbackend = 'Nobody'\n");
    let files = [one.settings(), other.settings(), third.settings()];
    let arguments: Vec<&str> = ["check"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    let (code, out, message) = output_of(marun(), &arguments);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{message}");
    let expected = [
        (0, ":2: tz: "),
        (0, ":4: bus.main.dsn: "),
        (0, ":6: bus.spare.dsn: "),
        (0, ":8: agent.a.backend: "),
        (
            0,
            ":9: agent.b: missing `broker`: `Worker` consumes the queue ",
        ),
        (0, ":13: agent.b.handlers.work.timout: "),
        (0, ":14: agent.b.handlers.work.on_error: "),
        (0, ":15: agent.b.handlers.wrok: "),
        (0, ":18: agent.c.backend: "),
        (0, ":19: agent.c.grace: "),
        (0, ":20: agent.c.settings.key: "),
        (1, ":1: "),
        (2, ":1: agent.a: "),
        (2, ":2: agent.a.backend: "),
    ];
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{message}");
    for (line, (file, text)) in lines.iter().zip(expected) {
        let expected = format!("marun: {}{text}", files[file]);
        assert!(line.starts_with(&expected), "{line}\n{expected}");
    }
}

#[test]
fn an_agent_whose_types_are_not_those_of_the_declarations_is_refused() {
    let folder = Folder::of(
        "declarations = 'signals.json'\n[bus.main]\ndsn = 'local:'\n[agent.a]\nbackend = 'Responder'\nbus = 'main'\n",
    );
    let write = |json: &str| {
        let text =
            format!(r#"{{"signals": [{{"name": "ask", "providing_args": {{"n": {json}}}}}]}}"#);
        fs::write(folder.path("signals.json"), text).unwrap();
    };
    write(r#"["number", "null"]"#);
    let (code, _, message) = output_of(marun(), &["check", &folder.settings()]);
    assert_eq!(code, Some(0), "{message}");
    write(r#""string""#);
    let text = "receiver `answer` of Responder: signal `ask`: argument `n` is a number in the code, and a string in the declarations";
    refused(&folder, &[":5: agent.a: ", text, "signals.json"]);
}

/// The error of an agent that reads its settings, in the log of the group.
#[test]
fn settings_that_an_agent_cannot_read_have_their_line_in_the_file() {
    let folder = Folder::of(
        "[agent.a]\nbackend = 'Actor'\n[agent.a.settings]\nsay = ''\nchatter = 'much'\n",
    );
    let (code, out, message) = output_of(marun(), &["run", &folder.settings()]);
    assert_eq!(code, Some(1), "{message}");
    let place = format!("{}:6: agent.a.settings.chatter: ", folder.settings());
    let expected = format!("invalid settings of agent `a`: {place}invalid type: string \"much\"");
    assert!(out.contains(&expected), "{out}{message}");
}

/// An agent that would be seen if it were started, and these lines.
fn with(lines: &str) -> Folder {
    Folder::of(&format!("[agent.a]\nbackend = 'Actor'\n{lines}"))
}

#[test]
fn a_file_that_is_not_a_settings_file() {
    let folder = with("");
    let message = |name: &str| {
        let path = folder.path(name).display().to_string();
        let (code, _, message) = output_of(marun(), &[&path]);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains(&path), "{message}");
        message
    };
    assert!(message("none.toml").contains("cannot read the settings"));
    fs::write(folder.path("settings.ini"), "").unwrap();
    assert!(message("settings.ini").contains("available: `.toml`, `.json`"));
    fs::write(folder.path("bad.json"), "{\n\"agent\": 1,,}").unwrap();
    assert!(message("bad.json").contains("bad.json:2: "));
    refused(&Folder::with("[agent.a\n"), &[":1: "]);
    refused(
        &Folder::with("x = 1\n"),
        &[":1: x: unknown key", "available: `declarations`, `program`"],
    );
}

#[test]
fn a_wrong_key_or_value() {
    refused(
        &with("graze = 1\n"),
        &[":4: agent.a.graze: unknown key", "did you mean `grace`?"],
    );
    refused(
        &with("grace = 'soon'\n"),
        &[":4: agent.a.grace: ", "\"soon\""],
    );
    refused(
        &with("bus = 'main'\n"),
        &[
            ":4: agent.a.bus: ",
            "unknown bus `main` (none is available)",
        ],
    );
    refused(
        &with("settings = { secret = '${MARUN_TEST_UNSET}' }\n"),
        &[
            ":4: agent.a.settings.secret: ",
            "MARUN_TEST_UNSET is not set",
        ],
    );
}

#[test]
fn an_agent_that_could_not_start_is_refused_by_check() {
    let bare = Folder::of("[agent.a]\nbackend = 'Bare'\n");
    let texts = [
        ": agent.a.backend: ",
        "neither `#[on(create)]` nor `Default`",
    ];
    refused(&bare, &texts);
    let rivals = "[broker.main]\ndsn = 'local:'\n[agent.a]\nbackend = 'Rivals'\nbroker = 'main'\n";
    let texts = [
        ": agent.a: ",
        "`second`",
        "queue `jobs` has a consumer already, `first`",
    ];
    refused(&Folder::of(rivals), &texts);
}

#[test]
fn a_launcher_that_is_the_program_itself_lists_its_agents_once() {
    let folder = Folder::of("[agent.a]\nbackend = 'Akter'\n");
    let (code, _, message) = output_of(program(), &["check", &folder.settings()]);
    assert_eq!(code, Some(2), "{message}");
    assert_eq!(message.matches("CommentAgent").count(), 1, "{message}");
}

#[test]
fn an_option_that_a_handler_has_not() {
    let cases = [
        (
            "[agent.worker.handlers.wrok]\ntimeout = 1",
            ":7: agent.worker.handlers.wrok: unknown handler of Worker; did you mean `work`? (available: `work`)",
        ),
        (
            "handlers = 5",
            ":7: agent.worker.handlers: must be a table, not a number",
        ),
        (
            "[agent.worker.handlers.say_farewell]",
            ":7: agent.worker.handlers.say_farewell: a hook of kind `pre_stop` has no options",
        ),
        (
            "[agent.worker.handlers.work]\non_error = 'drop'\ntimout = 1",
            ":9: agent.worker.handlers.work.timout: unknown option; did you mean `timeout`? (available: `timeout`, ",
        ),
        (
            "handlers.work = { timeout = 'soon' }",
            ":7: agent.worker.handlers.work.timeout: invalid duration \"soon\"",
        ),
        (
            "handlers.work.on_error = 'ignore'",
            ":7: agent.worker.handlers.work.on_error: unknown value `ignore` (available: `retry`, ",
        ),
        (
            "[agent.worker.handlers.work]\nconcurrency = 8\nprefetch = 4",
            ":9: agent.worker.handlers.work.prefetch: 4 is less than `concurrency`, which is 8",
        ),
    ];
    for (lines, expected) in cases {
        refused(&worker(lines), &[expected]);
    }
}

#[test]
fn a_program_that_is_none() {
    let agent = "[agent.a]\nbackend = 'Actor'\n";
    refused(
        &Folder::with(agent),
        &[":2: agent.a.backend: ", "`program = …`"],
    );
    let cases = [
        ("./none", "/none does not exist; is it built?"),
        ("./settings.toml", "is not executable"),
        ("no-such-program", "neither beside the launcher nor in PATH"),
        ("true", "is not a program with agents"),
        ("cat", "is not a program with agents"),
    ];
    for (program, text) in cases {
        let settings = format!("program = '{program}'\n{agent}");
        refused(&Folder::with(&settings), &[":1: program: ", text]);
    }
}

#[test]
fn a_program_of_another_release() {
    let folder = Folder::with("program = './old.sh'\n[agent.a]\nbackend = 'Actor'\n");
    script(
        &folder,
        "old.sh",
        "cat >/dev/null; echo '{\"protocol\": 0, \"agents\": []}'",
    );
    refused(
        &folder,
        &["uses version 0 of", "build both from the same release"],
    );
}

#[test]
fn a_backend_that_the_program_does_not_contain() {
    let folder = Folder::of("[agent.a]\nbackend = 'Acter'\n");
    refused(
        &folder,
        &[
            ":3: agent.a.backend: ",
            "`Acter`",
            "did you mean `Actor`?",
            "Responder",
        ],
    );
}

#[test]
fn declarations_that_are_none() {
    let cases = [
        (None, &["signals.json"][..]),
        (Some("{"), &["signals.json"]),
        (
            Some(
                r#"{"version": 2, "signals": [{"name": "Bad Name", "providing_args": []}], "queues": []}"#,
            ),
            &["Bad Name"],
        ),
    ];
    for (text, texts) in cases {
        let settings = format!(
            "program = {:?}\ndeclarations = 'signals.json'\n[agent.a]\nbackend = 'Actor'\n",
            program_path()
        );
        let folder = Folder::with(&settings);
        if let Some(text) = text {
            fs::write(folder.path("signals.json"), text).unwrap();
        }
        refused(&folder, &[&[":2: declarations: "], texts].concat());
    }
}

#[test]
fn a_warning_of_the_declarations_is_shown_and_no_mistake() {
    let settings = format!(
        "program = {:?}\ndeclarations = 'signals.json'\n[agent.a]\nbackend = 'Actor'\n",
        program_path()
    );
    let folder = Folder::with(&settings);
    let text = r#"{"version": 2, "jsonlib": "json", "signals": [], "queues": []}"#;
    fs::write(folder.path("signals.json"), text).unwrap();
    let (code, _, message) = output_of(marun(), &["check", &folder.settings()]);
    assert_eq!(code, Some(0), "{message}");
    assert!(
        message.contains("WARN") && message.contains("jsonlib"),
        "{message}"
    );
}

#[test]
fn one_name_in_two_files() {
    let (one, other) = (with(""), with(""));
    let (code, _, message) = output_of(marun(), &["check", &one.settings(), &other.settings()]);
    assert_eq!(code, Some(2), "{message}");
    for text in [
        one.settings(),
        other.settings(),
        "duplicate agent name".to_owned(),
    ] {
        assert!(message.contains(&text), "{message}");
    }
}

#[test]
fn check_and_info_start_nothing_and_show_no_secret() {
    let agents = "
        [broker.main]
        dsn = 'memory://'
        [agent.worker]
        backend = 'Worker'
        broker = 'main'
        settings = { password = 'hunter2' }
        [agent.shell]
        command = ['sh', '-c', 'exit 1']
        grace = 1.5
    ";
    let folder = Folder::of(agents);
    let (code, out, message) = output_of(marun(), &["check", &folder.settings()]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{message}");
    assert!(message.contains("agents: shell, worker"), "{message}");

    let (code, out, message) = output_of(marun(), &["info", &folder.settings()]);
    assert_eq!((code, message.as_str()), (Some(0), ""));
    for text in [
        "shell\n",
        "  command    sh -c exit 1\n",
        "  grace      1s 500ms",
        "work of the queue jobs",
    ] {
        assert!(out.contains(text), "`{text}` is missing: {out}");
    }
    let (_, json, _) = output_of(marun(), &["info", "--json", &folder.settings()]);
    assert!(!json.contains("hunter2") && !out.contains("hunter2"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let worker = &json["agents"][1];
    assert_eq!(worker["manifest"]["consumers"][0]["queue"], "jobs");
    assert_eq!(worker["broker"]["dsn"], "memory://");
    assert_eq!(json["agents"][0]["grace"], 1.5);
}

#[test]
fn a_relative_program_starts_at_the_settings_file() {
    let folder = Folder::with("program = './agents'\n[agent.a]\nbackend = 'Actor'\n");
    std::os::unix::fs::symlink(program_path(), folder.path("agents")).unwrap();
    let (code, _, message) = output_of(marun(), &["check", &folder.settings()]);
    assert_eq!(code, Some(0), "{message}");
}

#[test]
fn wrong_usage_and_help() {
    for arguments in [
        &[][..],
        &["run"],
        &["signal"],
        &["signal", "send", "x"],
        &["--wrong"],
    ] {
        let (code, out, message) = output_of(program(), arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(message.contains("Usage:"), "{message}");
    }
    let (code, out, _) = output_of(marun(), &["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("Exit codes:"), "{out}");
    assert_eq!(
        output_of(marun(), &["--version"]).1.trim(),
        concat!("marun ", env!("CARGO_PKG_VERSION"))
    );
}

/// An executable script in the folder.
pub(crate) fn script(folder: &Folder, name: &str, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// A worker on a broker, and these lines about its handlers.
fn worker(handlers: &str) -> Folder {
    let lines = format!(
        "[broker.main]\ndsn = 'memory://'\n[agent.worker]\nbackend = 'Worker'\nbroker = 'main'\n{handlers}"
    );
    Folder::of(&lines)
}

#[test]
fn the_options_of_handlers_are_shown_as_the_settings_make_them() {
    let folder = worker("handlers = { work = { timeout = 5, retry = ['2m'], concurrency = 3 } }\n");
    let (code, out, message) = output_of(marun(), &["info", "--json", &folder.settings()]);
    assert_eq!(code, Some(0), "{message}");
    let info: serde_json::Value = serde_json::from_str(&out).unwrap();
    let info = info.to_string();
    for option in ["\"timeout\":5.0", "\"retry\":[120.0]", "\"concurrency\":3"] {
        assert!(info.contains(option), "{option} is missing: {info}");
    }
    let (_, out, _) = output_of(marun(), &["info", &folder.settings()]);
    let line = "  consumer   work of the queue jobs, timeout 5s, concurrency 3, retry [2m]\n";
    assert!(out.contains(line), "{out}");
}

#[test]
fn settings_may_begin_with_a_byte_order_mark() {
    let check = |path: &std::path::Path| {
        let (code, _, message) = output_of(marun(), &["check", path.to_str().unwrap()]);
        (code, message)
    };
    let program = program_path();
    let folder = Folder::with(&format!(
        "\u{feff}program = {program:?}\n[agent.a]\nbackend = 'Actor'\n"
    ));
    assert_eq!(check(&folder.path("settings.toml")).0, Some(0));
    let json = format!(
        "\u{feff}{{\"program\":{program:?},\"agent\":{{\"a\":{{\"backend\":\"Actor\"}}}}}}"
    );
    let path = folder.path("settings.json");
    fs::write(&path, &json).unwrap();
    assert_eq!(check(&path).0, Some(0));

    let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, utf16).unwrap();
    let (code, message) = check(&path);
    assert_eq!(code, Some(2));
    assert!(
        message.contains("invalid encoding `UTF-16`: expected UTF-8"),
        "{message}"
    );
}
