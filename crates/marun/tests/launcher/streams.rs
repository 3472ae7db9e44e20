//! Line 68 of the failure contract: standard output that fails for a while.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, PipeReader, Read, pipe},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use crate::group::{Folder, LONG, marun};

const LINES: u32 = 20_000;

/// A program that prints so many lines and ends, and an agent that logs as many.
fn chatterers() -> Folder {
    Folder::of(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ chatter = {LINES} }}\n\
         [agent.shell]\ncommand = ['sh', '-c', 'seq {LINES}; exec sleep 600']\n"
    ))
}

/// The launcher, writing to a pipe that is small and non-blocking.
fn into_small_pipe(folder: &Folder, arguments: &[&str]) -> (Child, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut launcher = marun();
    launcher.arg(folder.settings()).args(arguments);
    (launcher.stdout(writer).spawn().unwrap(), reader)
}

fn stop(mut launcher: Child) {
    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
}

/// Reads until each of these texts was followed by all the numbers, in their order.
/// A launcher that has lost its stream writes nothing, which is noticed after a while.
fn read_numbers(
    reader: impl Read + Send + 'static,
    texts: [&str; 2],
    plain: impl Fn(String) -> String,
) {
    let (sender, lines) = mpsc::channel();
    // It goes on reading to the end, so that the launcher can stop.
    thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    let mut seen = [0; 2];
    while let Ok(line) = lines.recv_timeout(LONG) {
        let line = plain(line);
        for (text, seen) in texts.iter().zip(&mut seen) {
            if let Some((_, number)) = line.split_once(text) {
                assert_eq!(number.trim().parse(), Ok(*seen + 1), "{line}");
                *seen += 1;
            }
        }
        if seen == [LINES; 2] {
            return;
        }
    }
    panic!("{seen:?} of {LINES} lines each");
}

#[test]
fn line_68_a_non_blocking_pipe_gets_every_line() {
    let folder = chatterers();
    let (launcher, reader) = into_small_pipe(&folder, &[]);
    read_numbers(reader, ["chatter ", "shell | "], |line| line);
    stop(launcher);
}

#[test]
fn line_68_so_it_does_for_machines() {
    let folder = chatterers();
    let (launcher, reader) = into_small_pipe(&folder, &["--log", "json"]);
    let plain = |line: String| {
        let line: Value = serde_json::from_str(&line).unwrap();
        let text = line["line"].as_str().or(line["fields"]["message"].as_str());
        let agent = line["agent"].as_str().unwrap();
        format!("{agent} | {}", text.unwrap_or_default())
    };
    read_numbers(reader, ["chatter ", "shell | "], plain);
    stop(launcher);
}

#[test]
fn a_reader_that_stands_still_blames_no_agent() {
    let folder = Folder::of(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ chatter = {LINES} }}\nready_timeout = 3\n\
         [agent.shell]\ncommand = ['sh', '-c', 'seq {LINES}; exec sleep 600']\n"
    ));
    let (launcher, reader) = into_small_pipe(&folder, &[]);
    // It cannot become ready in this time, because it prints, and nobody reads.
    thread::sleep(Duration::from_secs(6));
    read_numbers(reader, ["chatter ", "shell | "], |line| line);
    stop(launcher);
}

/// A file that takes so many bytes and no more, until somebody allows it.
const LIMIT: u64 = 8192;

/// A command with this file as its standard output.
fn into_limited(mut command: Command, log: &Path) -> Child {
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--fsize={LIMIT}:unlimited"));
    limited.arg(command.get_program()).args(command.get_args());
    command = limited;
    command.env("RUST_LOG", "warn").stderr(Stdio::piped());
    command.stdout(File::create(log).unwrap()).spawn().unwrap()
}

fn allow(process: &Child) {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(Some(Pid::from_child(process)), Resource::Fsize, unlimited).unwrap();
}

fn wait_until(condition: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(
            Instant::now() < deadline,
            "not within {LONG:?}: {condition}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_full(log: &Path) -> bool {
    fs::metadata(log).unwrap().len() == LIMIT
}

fn numbers_in(log: &str) -> Vec<u32> {
    let numbers = log.lines().filter_map(|line| line.strip_prefix("shell | "));
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// Adds up the lines that the log reports as missing.
fn missing_in(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| {
        let (before, _) = line.split_once(" lines of the log are missing: File too large")?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    });
    counts.sum()
}

fn counting() -> Folder {
    Folder::of(&format!(
        "[agent.shell]\ncommand = ['sh', '-c', 'seq {LINES}; exec sleep 600']\n"
    ))
}

#[test]
fn line_68_what_a_full_disk_refused_for_a_moment_is_written() {
    let folder = counting();
    let (mut launcher, log) = (marun(), folder.path("log"));
    launcher.arg(folder.settings());
    let launcher = into_limited(launcher, &log);
    wait_until("the log is full", || is_full(&log));
    allow(&launcher);
    let last = format!("shell | {LINES}\n");
    wait_until("the last line", || {
        fs::read_to_string(&log).unwrap().ends_with(&last)
    });
    let numbers = numbers_in(&fs::read_to_string(&log).unwrap());
    assert!(numbers.into_iter().eq(1..=LINES));
    stop(launcher);
}

#[test]
fn line_68_what_a_full_disk_refused_for_long_is_counted_and_the_agents_go_on() {
    let folder = counting();
    let (mut launcher, log) = (marun(), folder.path("log"));
    launcher.arg(folder.settings());
    let mut launcher = into_limited(launcher, &log);
    let mut complaint = String::new();
    let mut complaints = BufReader::new(launcher.stderr.take().unwrap());
    complaints.read_line(&mut complaint).unwrap();
    assert!(complaint.contains("cannot write the log"), "{complaint}");
    assert!(is_full(&log));
    allow(&launcher);
    let read = || fs::read_to_string(&log).unwrap();
    wait_until("a count of missing lines", || missing_in(&read()) > 0);
    wait_until("each line is written or counted", || {
        let text = read();
        numbers_in(&text).len() + missing_in(&text) >= LINES as usize
    });
    let text = read();
    let numbers = numbers_in(&text);
    assert!(numbers.is_sorted(), "no line is cut");
    assert_eq!(numbers.len() + missing_in(&text), LINES as usize, "{text}");
    stop(launcher);
}
