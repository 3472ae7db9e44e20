//! A group in a real terminal: its status table, and Ctrl-C. A test that bears a line's number
//! proves that line of the failure contract.

use std::io::Write;

use rustix::process::{Signal, kill_process};

use crate::{group::Group, lifecycle::FORCE_AFTER};

const CTRL_C: &[u8] = b"\x03";

/// A program that tells each signal and heeds none.
const STUBBORN: &str = r#"
    [agent.shell]
    command = ['sh', '-c', '''
        trap "echo heard TERM" TERM
        trap "echo heard INT" INT
        echo listening
        while :; do sleep 600 & wait $!; done
    ''']
"#;

#[test]
fn line_58_each_member_is_asked_once_and_a_second_ctrl_c_forces() {
    let (mut group, mut terminal) = Group::in_terminal(STUBBORN, &[]);
    group.wait_for("listening");
    terminal.write_all(CTRL_C).unwrap();
    group.wait_for("heard TERM");
    std::thread::sleep(FORCE_AFTER);
    terminal.write_all(CTRL_C).unwrap();
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["SIGINT received; stopping; a second Ctrl-C kills all agents"]);
    group.assert_has(&["second SIGINT received; killing shell"]);
    assert_eq!(
        (group.count("heard TERM"), group.count("heard INT")),
        (1, 0)
    );
}

#[test]
fn the_table_stands_below_the_log_and_follows_the_members() {
    let agents = "
        [agent.first]
        backend = 'Actor'
        restart = { policy = 'on_failure' }
        [agent.second]
        backend = 'Actor'
    ";
    let (mut group, mut terminal) = Group::in_terminal(agents, &[]);
    let pids = group.wait_until_ready();
    group.wait_for_next("AGENT   STATE  PROCESS  RESTARTS");
    group.wait_for_next(&format!("first   ready  {}", pids["first"]));
    kill_process(pids["first"], Signal::KILL).unwrap();
    let rest = group.wait_for_next("first   backoff  -  ");
    assert!(rest.trim_end().ends_with("was killed by SIGKILL"), "{rest}");
    let rest = group.wait_for_next("first   ready  ");
    assert!(
        rest.trim_end().ends_with("was killed by SIGKILL"),
        "the last end stays: {rest}"
    );

    terminal.write_all(CTRL_C).unwrap();
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    let last = group.log().lines().last().unwrap().to_owned();
    assert!(
        !last.contains("AGENT"),
        "the table goes with the group: {last}"
    );
}

#[test]
fn there_is_no_table_elsewhere_nor_for_machines() {
    let agent = "[agent.first]\nbackend = 'Actor'\n";
    let (in_terminal, _terminal) = Group::in_terminal(agent, &["--log", "json"]);
    for mut group in [Group::start(agent), in_terminal] {
        group.wait_for("all agents are ready");
        group.signal(Signal::INT);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
        assert_eq!(group.count("AGENT"), 0, "{}", group.log());
        assert_eq!(group.count("\x1b"), 0, "{}", group.log());
    }
}

#[test]
fn a_terminal_shows_control_characters_and_a_pipe_gets_them_as_they_are() {
    let agent = r#"
        [agent.first]
        backend = 'Actor'
        settings = { say = "\u001b[31mred\u001b[2J\u0007\u009b\n" }
    "#;
    let (mut shown, _terminal) = Group::in_terminal(agent, &[]);
    shown.wait_for("| \x1b[31mred\\u001b[2J\\u0007\\u009b\x1b[0m");
    let (mut json, _other_terminal) = Group::in_terminal(agent, &["--log", "json"]);
    json.wait_for(r#""line":"\u001b[31mred\u001b[2J\u0007\u009b""#);
    let mut piped = Group::start(agent);
    piped.wait_for("| \x1b[31mred\x1b[2J\x07\u{9b}");
    for mut group in [shown, json, piped] {
        group.wait_for("all agents are ready");
        group.signal(Signal::INT);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    }
}

#[test]
fn a_terminal_shows_the_time_of_the_day_and_a_pipe_the_date_too() {
    let agent = "[agent.first]\nbackend = 'Actor'\nsettings = { chatter = 1 }\n";
    let (in_terminal, _terminal) = Group::in_terminal(agent, &[]);
    let mut groups = [(in_terminal, false), (Group::start(agent), true)];
    for (group, is_long) in &mut groups {
        group.wait_for("all agents are ready");
        group.wait_for("chatter 1");
        for (name, text) in [("marun", "first is ready"), ("first", "chatter 1")] {
            let line = group.all_after(&format!("{name} | "));
            let line = line.iter().find(|line| line.contains(text)).unwrap();
            let (time, rest) = line.split_once(' ').unwrap();
            let shape = time.replace(|c: char| c.is_ascii_digit(), "0");
            let (expected, module) = match is_long {
                true => ("0000-00-00T00:00:00.000000Z", true),
                false => ("00:00:00.000", false),
            };
            assert_eq!(shape, expected, "{line}");
            assert_eq!(rest.trim() != format!("INFO {text}"), module, "{line}");
        }
    }
    for (mut group, _) in groups {
        group.signal(Signal::INT);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    }
}
