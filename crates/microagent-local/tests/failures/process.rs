//! A process of a test: this program, asked to play a part.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use microagent_core::Result;
use microagent_local::{Host, LocalOptions};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::sync::watch;

use crate::{hearer, journal::Journal, sender, storage, worker};

const PART: &str = "MICROAGENT_TEST_PART";
const FOLDER: &str = "MICROAGENT_TEST_FOLDER";

/// A running process; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Apart, because who waits for a child closes its input, by which the child knows that the test has ended.
    go: ChildStdin,
}

impl Process {
    /// This program again, in a part; what it says goes to the journal.
    pub(crate) fn start(part: &str, folder: &Path, journal: &Journal) -> Self {
        Self::start_in(&[], part, folder, journal)
    }

    /// The same, started by these words in front of it.
    pub(crate) fn start_in(wrapper: &[&str], part: &str, folder: &Path, journal: &Journal) -> Self {
        let program = env::current_exe().unwrap();
        let mut words = wrapper.iter().map(OsStr::new).chain([program.as_os_str()]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(["--exact", "process::part", "--ignored", "--nocapture"])
            .env(PART, part)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        journal.listen(child.id(), child.stdout.take().unwrap());
        journal.listen(child.id(), child.stderr.take().unwrap());
        let go = child.stdin.take().unwrap();
        Self { child, go }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// SIGSTOP; none of its threads runs any more when this returns.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.unwrap().1.stopped());
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap()
    }

    /// Lets those go on that wait in it: for the first time, or for the next one.
    pub(crate) fn go_on(&mut self) {
        self.go.write_all(b"go\n").unwrap();
    }

    /// The most memory that it had at a time.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let waiting = tokio::task::spawn_blocking(move || self.child.wait());
        waiting.await.unwrap().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: what a [`Process`] does.
#[test]
#[ignore = "it is the process that the tests start"]
fn part() {
    let Ok(part) = env::var(PART) else { return };
    let folder = env::var_os(FOLDER).unwrap();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(false).init();
    // The test's name stands in this line.
    println!();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let words: Vec<&str> = part.split(' ').collect();
    runtime.block_on(play(&words, &folder)).unwrap();
}

async fn play(part: &[&str], folder: &OsStr) -> Result<()> {
    let options = LocalOptions::parse(&format!("local:{}", folder.display()))?;
    match part {
        ["host"] => host(&options).await,
        ["worker", concurrency, prefetch] => {
            let limits = (concurrency.parse().unwrap(), prefetch.parse().unwrap());
            worker::work(&options, limits).await
        }
        ["sender", first] => sender::send_jobs(&options, first.parse().unwrap()).await,
        ["hearer"] => hearer::hear(&options).await,
        ["small-disk"] => storage::on_small_disk(&options).await,
        ["retrier"] => worker::retry(&options).await,
        part => panic!("there is no part {part:?}"),
    }
}

/// Hosts, and nothing else.
async fn host(options: &LocalOptions) -> Result<()> {
    let host = Host::start(options).await?;
    let mut signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let _test = follow_test();
    signals.recv().await;
    host.shutdown().await
}

/// Ends with the test, whatever becomes of it; counts how often the test says to go on.
pub(crate) fn follow_test() -> watch::Receiver<u32> {
    let (go, going) = watch::channel(0);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            go.send_modify(|times| *times += 1);
        }
        std::process::exit(0);
    });
    going
}
