//! Messages that other programs sent: the tools show and send them byte for byte, and none of them
//! ends a tool or reaches a terminal's controls.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
};

use microagent::{Broker, Bus, Connect, Queue, Result};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use crate::{
    driver::{Driver, on_every_driver},
    group::{in_terminal, marun, output_of},
};

on_every_driver![
    waiting_messages_are_shown_byte_for_byte,
    arguments_are_sent_byte_for_byte,
    an_odd_signal_does_not_end_the_listener,
    a_terminal_obeys_no_message,
    a_line_of_standard_input_may_have_a_byte_order_mark,
];

const JOBS: Queue = Queue::new("jobs");

/// Bodies, and the same without white space between tokens where there is a newline.
const BODIES: [(&str, &str); 4] = [
    ("{\"x\":\n1e400}", r#"{"x":1e400}"#),
    (
        r#"{"x": 18446744073709551617}"#,
        r#"{"x": 18446744073709551617}"#,
    ),
    (
        "{\"x\":1,\r\n\"x\":\"\\ud800 \"}",
        r#"{"x":1,"x":"\ud800 "}"#,
    ),
    ("[[],\n 1.10]", "[[],1.10]"),
];

/// Does something with the server of a test.
fn with<T>(work: impl Future<Output = Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work).unwrap()
}

/// Puts bodies into the queue `jobs` as they are.
fn put(driver: &Driver, bodies: &[&str]) {
    with(async {
        let broker = Broker::connect(&driver.dsn).await?;
        for body in bodies {
            let body = (*body).to_owned().into();
            broker
                .driver()
                .send(&JOBS.into(), body, Default::default())
                .await?;
        }
        broker.close().await
    });
}

/// Runs the words of a line with the broker of a test.
fn run(driver: &Driver, line: &str) -> (Option<i32>, String, String) {
    let words = line.split_whitespace().chain(["--broker", &driver.dsn]);
    output_of(marun(), &words.collect::<Vec<_>>())
}

fn waiting_messages_are_shown_byte_for_byte(driver: &Driver) {
    let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(70_000));
    let mut bodies: Vec<_> = BODIES.iter().map(|(body, _)| *body).collect();
    bodies.push(&long);
    put(driver, &bodies);
    let expected = BODIES
        .iter()
        .map(|(_, shown)| *shown)
        .chain([long.as_str()]);
    let expected: Vec<_> = expected.collect();

    let (code, out, message) = run(driver, "queue peek jobs --json");
    assert_eq!((code, message.as_str()), (Some(0), ""));
    for (line, payload) in out.lines().zip(&expected) {
        assert!(
            line.ends_with(&format!("\"payload\":{payload}}}")),
            "{line}"
        );
    }
    assert_eq!(out.lines().count(), expected.len());
    for look in ["queue peek jobs", "queue dead work --from jobs"] {
        let (code, out, message) = run(driver, look);
        assert_eq!((code, message.as_str()), (Some(0), ""), "{look}");
        for (line, payload) in out.lines().skip(1).zip(&expected) {
            assert!(line.ends_with(&format!("  {payload}")), "{line}");
        }
        assert_eq!(out.lines().count(), expected.len() + 1);
    }
}

fn arguments_are_sent_byte_for_byte(driver: &Driver) {
    let sent = run(
        driver,
        r#"queue send jobs a:=1e400 b:={"c":18446744073709551617,"c":"\ud800"} d=x"#,
    );
    assert_eq!(sent, (Some(0), String::new(), String::new()));
    let (_, out, _) = run(driver, "queue peek jobs --json");
    let body = r#"{"a":1e400,"b":{"c":18446744073709551617,"c":"\ud800"},"d":"x"}"#;
    assert!(out.ends_with(&format!("\"payload\":{body}}}\n")), "{out}");
}

/// A running `signal listen`, and its output.
fn listener(driver: &Driver) -> (Child, impl Iterator<Item = String>) {
    let mut child = marun()
        .args(["signal", "listen", "ask", "--bus", &driver.dsn])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let messages = BufReader::new(child.stderr.take().unwrap());
    let mut messages = messages.lines().map(|line| line.unwrap());
    assert!(messages.any(|line| line.contains("listening to `ask`")));
    // Somebody has to read on, or the listener would wait.
    std::thread::spawn(move || messages.count());
    let out = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, out.map(|line| line.unwrap()))
}

fn publish(driver: &Driver, channel: &str, bodies: &[&str]) {
    with(async {
        let bus = Bus::connect(&driver.dsn).await?;
        bus.ready().await?;
        for body in bodies {
            bus.driver()
                .publish(channel, (*body).to_owned().into())
                .await?;
        }
        bus.close().await
    });
}

fn an_odd_signal_does_not_end_the_listener(driver: &Driver) {
    let (mut child, mut lines) = listener(driver);
    for odd in ["{", "", "nothing", "NaN"] {
        publish(driver, "PUBSUB:ask:peer", &[odd]);
    }
    for (body, shown) in BODIES {
        publish(driver, "PUBSUB:ask:peer", &[body]);
        let expected = format!(r#"{{"signal":"ask","sender":"peer","args":{shown}}}"#);
        assert_eq!(lines.next().unwrap(), expected);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Returns the text that a command writes to a terminal until it ends.
fn shown(mut command: Command, mut terminal: File) -> String {
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut shown = Vec::new();
    match terminal.read_to_end(&mut shown) {
        Ok(_) => {}
        // This is the error on Linux if the other end is closed.
        Err(error) => assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error())),
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    String::from_utf8(shown).unwrap()
}

fn a_terminal_obeys_no_message(driver: &Driver) {
    let body = "{\"x\":\"\u{9b}2J\u{202e}\"}";
    put(driver, &[body, "\x1b[2J"]);
    for arguments in [
        &["queue", "peek", "jobs"][..],
        &["queue", "peek", "jobs", "--json"],
        &["queue", "dead", "work", "--from", "jobs"],
        &["queue", "dead", "work", "--from", "jobs", "--json"],
    ] {
        let arguments = [arguments, &["--broker", &driver.dsn]].concat();
        let (command, terminal) = in_terminal(&arguments);
        let shown = shown(command, terminal);
        let escaped = [r"\u009b2J\u202e", r"\u{9b}2J\u202e"];
        assert!(escaped.iter().any(|text| shown.contains(text)), "{shown:?}");
        assert!(!shown.contains(['\x1b', '\u{9b}', '\u{202e}']), "{shown:?}");
    }
    let (_, piped, _) = run(driver, "queue peek jobs --json");
    assert!(
        piped.contains(body),
        "elsewhere nothing is escaped: {piped:?}"
    );
}

fn a_line_of_standard_input_may_have_a_byte_order_mark(driver: &Driver) {
    let mut child = marun()
        .args(["queue", "send", "jobs", "-", "--broker", &driver.dsn])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all("\u{feff}{\"x\":1}\n{\"x\":2}\n".as_bytes())
        .unwrap();
    drop(input);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    let (_, out, _) = run(driver, "queue peek jobs --json");
    assert!(out.contains("\"payload\":{\"x\":1}}"), "{out}");
    assert_eq!(out.lines().count(), 2);
}
