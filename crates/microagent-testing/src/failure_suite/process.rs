//! Processes of a test: the test program once more, in a part.

use std::{
    env,
    io::{BufRead, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::{runtime::Runtime, sync::watch};

use super::{FailureServer, Journal, jobs::PATIENCE, within};

const PART: &str = "MICROAGENT_TEST_PART";
const ADDRESS: &str = "MICROAGENT_TEST_ADDRESS";

/// The clause whose test a process runs that plays a part.
const ENTRY: &str = "line_08_what_cannot_be_decoded_is_parked_at_once";

/// The test program, as a program that plays parts.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The module of the suite's tests, with the crate's name in front.
    module: &'static str,
}

impl Program {
    /// The program of the suite in this module. [`failure_suite!`](crate::failure_suite) calls it.
    #[doc(hidden)]
    #[must_use]
    pub const fn of(module: &'static str) -> Self {
        Self { module }
    }

    /// Returns the command that plays `part` on the server at `address`; [`FailureServer::play`] gets both.
    #[must_use]
    pub fn command(&self, part: &str, address: &str) -> Command {
        let module = self
            .module
            .split_once("::")
            .map_or("", |(_, module)| module);
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", &format!("{module}::{ENTRY}")])
            .args(["--include-ignored", "--nocapture"])
            .env(PART, part)
            .env(ADDRESS, address);
        command
    }
}

/// Plays the part that this process was started for; false if it is an ordinary test.
pub(super) fn play_if_asked<S: FailureServer>(runtime: &Runtime) -> bool {
    let (Ok(part), Ok(address)) = (env::var(PART), env::var(ADDRESS)) else {
        return false;
    };
    // The test's name stands in this line.
    let _ = std::io::stdout().write_all(b"\n");
    runtime.block_on(S::play(&part, &address)).unwrap();
    true
}

/// A running process; it is killed when the value is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Apart, because waiting for a child closes its input, by which the child knows that the test has ended.
    go: ChildStdin,
}

impl Process {
    /// Starts a command, mostly of a [`Program`]. The journal receives what it says.
    #[must_use]
    pub fn start(mut command: Command, journal: &Journal) -> Self {
        let mut child = command
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

    /// Returns the number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, as `kill -9` does, and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Asks it to stop, as SIGTERM does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it where it stands, as SIGSTOP does; none of its threads runs when this returns.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.unwrap().1.stopped());
    }

    /// Lets a stopped process go on, as SIGCONT does.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap()
    }

    /// Lets those jobs go on that wait in it: for the first time, or for the next one.
    pub fn go_on(&mut self) {
        self.go.write_all(b"go\n").unwrap();
    }

    /// Returns the most memory that it had at a time, in KiB.
    #[must_use]
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }

    /// Asks it to stop and waits until it has ended well.
    ///
    /// # Panics
    /// When it has not ended in a minute, or with a failure.
    pub async fn ends_well(self) {
        self.terminate();
        assert!(within(PATIENCE, "its end", self.ended()).await.success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
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

/// Called in a process of a test: the process ends with the test, whatever becomes of it. The value counts how often the test
/// called [`Process::go_on`].
#[must_use]
pub fn follow_test() -> watch::Receiver<u32> {
    let (go, going) = watch::channel(0);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            go.send_modify(|times| *times += 1);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a process of a test must not outlive the test"
        )]
        std::process::exit(0);
    });
    going
}
