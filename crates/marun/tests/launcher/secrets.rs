//! No output holds a secret of a DSN or a URL, wherever in it the secret stands, and at no log
//! level.

use crate::group::{Folder, marun, output_of, program_path};

const SECRET: &str = "s3cr3t";

/// DSNs that are refused, or whose server cannot be reached: nobody listens on port 1.
const DSNS: &[&str] = &[
    "redis://u:s3cr3t@127.0.0.1:1/7",
    "redis://:s3cr3t@127.0.0.1:1",
    "redis://s3cr3t@127.0.0.1:1",
    "redis://u:a/s3cr3t@127.0.0.1:1/7",
    "redis://u:a?s3cr3t@127.0.0.1:1/7",
    "redis://u:a#s3cr3t@127.0.0.1:1/7",
    "redis://u:%zz-s3cr3t@127.0.0.1:1/7",
    "redis://u:%+4-s3cr3t@127.0.0.1:1/7",
    "redis://127.0.0.1:1/7?password=s3cr3t",
    "redis://127.0.0.1:1/7#s3cr3t",
    "rediss://u:s3cr3t@127.0.0.1:1",
    "redis+sentinel://u:s3cr3t@127.0.0.1:1/main?sentinel_password=s3cr3t",
    "redis+sentinel://127.0.0.1:1/main?sentinel_passwort=s3cr3t",
    "redis+cluster://u:s3cr3t@127.0.0.1:1",
    "amqp://u:s3cr3t@127.0.0.1:1",
    "memory://u:s3cr3t@127.0.0.1",
    "memory:s3cr3t@127.0.0.1",
    "local:/nowhere/x?password=s3cr3t",
    "s3cr3t@127.0.0.1",
    "u:s3cr3t@127.0.0.1",
];

/// URLs of declarations.
const URLS: &[&str] = &[
    "http://u:s3cr3t@127.0.0.1:1/signals.json",
    "http://s3cr3t@127.0.0.1:1/signals.json",
    "http://u:a/s3cr3t@127.0.0.1:1/signals.json",
    "http://u:a?s3cr3t@127.0.0.1:1/signals.json",
    "http://u:a#s3cr3t@127.0.0.1:1/signals.json",
    "http://u:a@s3cr3t@127.0.0.1:1/signals.json",
    "http://127.0.0.1:1/signals.json?token=s3cr3t",
    "http://127.0.0.1:1/signals.json?s3cr3t",
    "http://127.0.0.1:1/signals.json#s3cr3t",
    "https://u:s3cr3t@127.0.0.1:1/signals.json",
    "ftp://u:s3cr3t@127.0.0.1:1/signals.json",
];

/// Runs a command at the most talkative level; nothing that it writes may hold the secret.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = marun();
    command.env("RUST_LOG", "trace");
    let (code, out, message) = output_of(command, arguments);
    let all = format!("{out}{message}");
    assert!(!all.contains(SECRET), "{arguments:?}: {all}");
    // In base64, as an `Authorization` header has it, whatever stands before it.
    for encoded in ["czNjcjN0", "MzY3IzdA", "zNjcjN0"] {
        assert!(!all.contains(encoded), "{arguments:?}: {all}");
    }
    (code, all)
}

#[test]
fn no_command_shows_a_secret_of_a_dsn_that_is_refused() {
    for dsn in DSNS {
        let settings = |kind: &str| {
            let program = program_path();
            Folder::with(&format!(
                "program = {program:?}\n[{kind}.main]\ndsn = '{dsn}'\n[agent.a]\nbackend = 'Actor'\n"
            ))
        };
        for kind in ["bus", "broker"] {
            let folder = settings(kind);
            run(&["check", &folder.settings()]);
            run(&["info", "--json", &folder.settings()]);
            run(&["info", &folder.settings()]);
        }
    }
}

/// In processes beside each other: each waits for its server.
#[test]
fn no_command_shows_a_secret_of_a_server_that_is_not_reached() {
    std::thread::scope(|scope| {
        for dsn in DSNS {
            scope.spawn(move || {
                let (code, all) = run(&["signal", "send", "ask", "--bus", dsn]);
                assert_ne!(code, Some(0), "{dsn}: {all}");
            });
            scope.spawn(move || {
                let (code, all) = run(&["queue", "length", "jobs", "--broker", dsn]);
                assert_ne!(code, Some(0), "{dsn}: {all}");
            });
        }
    });
}

#[test]
fn no_command_shows_a_secret_of_the_declarations() {
    std::thread::scope(|scope| {
        for url in URLS {
            scope.spawn(move || {
                let program = program_path();
                let folder = Folder::with(&format!(
                    "program = {program:?}\ndeclarations = '{url}'\n[agent.a]\nbackend = 'Actor'\n"
                ));
                for words in [&["check"][..], &["run"], &["info", "--json"]] {
                    let (code, all) = run(&[words, &[&folder.settings()]].concat());
                    assert_eq!(code, Some(2), "{url}: {all}");
                }
                let send = [
                    "signal",
                    "send",
                    "ask",
                    "--bus",
                    "memory://",
                    "--declarations",
                    url,
                ];
                let (code, all) = run(&send);
                assert_ne!(code, Some(0), "{url}: {all}");
            });
        }
    });
}
