//! A queue `jobs` of `local:` under load: who sends, who works, and what is done and left in the
//! end.

use std::{
    io::Write,
    process::{Child, Stdio},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::group::{Folder, Group, LONG, marun, output_of};

/// The table of a worker on the queue.
pub(crate) fn worker(name: &str, settings: &str, lines: &str) -> String {
    format!("[agent.{name}]\nbackend = 'Worker'\nbroker = 'main'\nsettings = {settings}\n{lines}\n")
}

/// A folder with these agents and the broker that they share.
pub(crate) fn folder(agents: &[String]) -> Folder {
    Folder::of(&format!(
        "[broker.main]\ndsn = 'local:data'\n{}",
        agents.concat()
    ))
}

/// Starts `queue send jobs -` on the folder's broker.
fn sender(folder: &Folder) -> Child {
    let mut command = marun();
    command.args([
        "queue",
        "send",
        "jobs",
        "-",
        "--settings",
        &folder.settings(),
    ]);
    command
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends the jobs of these numbers, in a process of its own.
pub(crate) fn send(folder: &Folder, numbers: std::ops::Range<usize>) {
    let mut sender = sender(folder);
    let lines: String = numbers.map(line).collect();
    let mut pipe = sender.stdin.take().unwrap();
    pipe.write_all(lines.as_bytes()).unwrap();
    drop(pipe);
    assert!(sender.wait().unwrap().success());
}

fn line(n: usize) -> String {
    format!("{{\"n\":{n}}}\n")
}

/// Returns the number of waiting messages in a queue.
pub(crate) fn length(folder: &Folder, queue: &str) -> usize {
    let settings = folder.settings();
    let words = ["queue", "length", queue, "--json", "--settings", &settings];
    let (code, out, message) = output_of(marun(), &words);
    assert_eq!(code, Some(0), "{message}");
    let length: serde_json::Value = serde_json::from_str(&out).unwrap();
    usize::try_from(length["waiting"].as_u64().unwrap()).unwrap()
}

/// The messages that wait in a queue, as `peek --json` tells them.
pub(crate) fn waiting(folder: &Folder, queue: &str) -> Vec<serde_json::Value> {
    let settings = folder.settings();
    let words = ["queue", "peek", queue, "--json", "--settings", &settings];
    let (code, out, message) = output_of(marun(), &words);
    assert_eq!(code, Some(0), "{message}");
    let rows = out.lines().map(|row| serde_json::from_str(row).unwrap());
    rows.collect()
}

/// The numbers of the jobs that were done, in order; one that was done twice is there twice.
pub(crate) fn done(groups: &[&Group]) -> Vec<usize> {
    let lines = groups.iter().flat_map(|group| group.all_after("| job "));
    let numbers = lines.map(|line| {
        let job: serde_json::Value = serde_json::from_str(&line).unwrap();
        job["n"].as_u64().unwrap().try_into().unwrap()
    });
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// Sends jobs until it is told to stop; how many there were.
pub(crate) fn load(folder: &Folder) -> (JoinHandle<usize>, Sender<()>) {
    let mut sender = sender(folder);
    let (stop, stopped) = channel::<()>();
    let load = thread::spawn(move || {
        let mut pipe = sender.stdin.take().unwrap();
        let mut count = 0;
        // The pace of the load, about a thousand a second.
        while stopped.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
            let lines: String = (count..count + 10).map(line).collect();
            pipe.write_all(lines.as_bytes()).unwrap();
            count += 10;
        }
        drop(pipe);
        assert!(sender.wait().unwrap().success());
        count
    });
    (load, stop)
}

/// Three workers on one queue, with these lines.
pub(crate) fn replicas(lines: &str) -> Folder {
    folder(&["a", "b", "c"].map(|name| worker(name, "{ pause = 0.005 }", lines)))
}

/// Stops the load, waits until nothing of it is left, and stops the group; how many jobs there
/// were.
pub(crate) fn finish(
    group: &mut Group,
    folder: &Folder,
    load: JoinHandle<usize>,
    stop: Sender<()>,
) -> usize {
    drop(stop);
    let jobs = load.join().unwrap();
    let deadline = Instant::now() + LONG;
    while length(folder, "jobs") > 0 {
        assert!(Instant::now() < deadline, "jobs are left: {}", group.log());
    }
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    assert_eq!(length(folder, "jobs"), 0);
    assert_eq!(length(folder, "jobs.dead"), 0);
    jobs
}
