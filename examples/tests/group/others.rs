//! Beside the group itself: the README's commands to it, the group with a web server, and the documentation's agents in one
//! process.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    START, STOP,
    running::{self, Group, Launcher},
    start,
};

const HTTP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/http.toml");

#[test]
fn the_commands_of_the_readme_reach_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let mut group = start(Launcher::Examples, folder.path());
    group.wait_for_line("Get value = ", START);

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let words = readme
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run -q -p examples -- "));
    let dsn = format!("local:{}", folder.path().display());
    let outputs = words.map(|words| {
        let mut command = Launcher::Examples.command();
        command.args(words.split_whitespace()).current_dir(&root);
        command.env("EXAMPLE_BUS", &dsn).env("EXAMPLE_BROKER", &dsn);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
    let outputs: Vec<_> = outputs.collect();
    let [call, send, length] = &outputs[..] else {
        panic!("the README has other commands: {outputs:?}");
    };
    assert!(
        call.starts_with("{\"CommentAgent.example_rpc_handler\":"),
        "{call}"
    );
    assert_eq!(send, "", "`signal send` prints nothing");
    let (waiting, rest) = length.split_once(' ').unwrap();
    assert!(waiting.parse::<u64>().is_ok(), "{length}");
    assert!(rest.starts_with("waiting, "), "{length}");
    group.wait_for(
        "email_agent",
        "Catch emailer {\"text\":\"Welcome text\"",
        START,
    );

    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(STOP).code(), Some(0), "{}", group.log());
}

#[test]
fn the_group_with_a_web_server_answers_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let dsn = format!("local:{}", folder.path().display());
    let mut command = Launcher::Examples.group(Path::new(HTTP), &dsn);
    command.env("EXAMPLE_LISTEN", "127.0.0.1:0");
    let mut group = Group::start(command);
    // The comment is counted before its mail is sent.
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", START);

    let address = group
        .lines()
        .find_map(|line| line.split_once("address=127.0.0.1:"));
    let port = address.unwrap().1.trim();
    let (head, body) = get(port.parse().unwrap(), "/comments/1");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(body.parse::<u64>().unwrap() > 0, "{body}");
    let (_, body) = get(port.parse().unwrap(), "/comments/2");
    assert_eq!(body, "0");

    let agents = group.agents();
    assert_eq!(agents.len(), 4, "one process per agent");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(STOP).code(), Some(0), "{}", group.log());
    running::assert_gone(agents.into_values(), Duration::ZERO);
}

/// The head and the body of the answer.
fn get(port: u16, path: &str) -> (String, String) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_read_timeout(Some(START)).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_three_agents_run_in_one_process_and_all_drain() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_single_process"));
    for variable in ["EXAMPLE_BUS", "EXAMPLE_BROKER", "RUST_LOG"] {
        program.env_remove(variable);
    }
    let mut process = Group::start(program);
    process.wait_for_line(
        "Get value = {\"CommentAgent.example_rpc_handler\":1}",
        START,
    );
    process.wait_for_line("Catch emailer {\"text\":\"Comment\"", START);

    process.signal(Signal::INT);
    assert_eq!(
        process.wait_for_end(STOP).code(),
        Some(0),
        "{}",
        process.log()
    );
    let stopped = process
        .lines()
        .filter(|line| line.contains("agent has stopped"));
    assert_eq!(stopped.count(), 3, "{}", process.log());
}
