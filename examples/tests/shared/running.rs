//! A group that runs: its processes, its log, its end.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The settings of the documentation's group.
pub(crate) const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/settings.toml");

/// Which binary runs the group.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Launcher {
    /// The examples' own, `cargo run -p examples`.
    Examples,
    /// The general one, `cargo run --bin marun -- run`.
    Marun,
}

impl Launcher {
    /// The group of these settings, on this bus and broker.
    pub(crate) fn group(self, settings: &Path, dsn: &str) -> Command {
        let mut command = self.command();
        command
            .arg(settings)
            .env("EXAMPLE_BUS", dsn)
            .env("EXAMPLE_BROKER", dsn)
            .env_remove("RUST_LOG");
        command
    }

    pub(crate) fn command(self) -> Command {
        let examples = Path::new(env!("CARGO_BIN_EXE_agents"));
        match self {
            Self::Examples => Command::new(examples),
            Self::Marun => {
                let marun = examples.with_file_name("marun");
                assert!(
                    marun.exists(),
                    "build the workspace first, as `scripts/test` does: there is no {}",
                    marun.display()
                );
                let mut command = Command::new(marun);
                command.arg("run");
                command
            }
        }
    }
}

/// A group of agents. Dropping it kills its remaining processes.
pub(crate) struct Group {
    supervisor: Child,
    incoming: Receiver<String>,
    seen: Vec<String>,
    agents: HashMap<String, Pid>,
}

impl Group {
    /// Starts what [`Launcher::group`] made.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut supervisor = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, incoming) = mpsc::channel();
        forward(supervisor.stdout.take().unwrap(), sender.clone());
        forward(supervisor.stderr.take().unwrap(), sender);
        Self {
            supervisor,
            incoming,
            seen: Vec::new(),
            agents: HashMap::new(),
        }
    }

    /// The next line of the log.
    pub(crate) fn next_line(&mut self, within: Duration) -> String {
        match self.incoming.recv_timeout(within) {
            Ok(line) => {
                self.seen.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line within {within:?} behind: {}", self.log())
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the group has ended: {}", self.log()),
        }
    }

    /// Reads the lines that are there, and waits for no other.
    pub(crate) fn read_what_is_there(&mut self) {
        self.seen.extend(self.incoming.try_iter());
    }

    /// Waits until a line holds this text; lines that have been read count.
    pub(crate) fn wait_for_line(&mut self, text: &str, within: Duration) {
        self.wait_until(|line| line.contains(text), text, within);
    }

    /// Waits until this agent has said this.
    pub(crate) fn wait_for(&mut self, agent: &str, text: &str, within: Duration) {
        let matches = |line: &str| line.starts_with(agent) && line.contains(text);
        self.wait_until(matches, text, within);
    }

    /// The processes of the agents, by name.
    pub(crate) fn agents(&mut self) -> HashMap<String, Pid> {
        self.agents = children_of(self.supervisor.id());
        self.agents.clone()
    }

    /// Sends the supervisor a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_child(&self.supervisor), signal);
    }

    /// Waits for the supervisor's end.
    pub(crate) fn wait_for_end(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        while let Ok(line) = self
            .incoming
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        // Its output has ended, so it is ending; or the deadline has passed.
        loop {
            if let Some(status) = self.supervisor.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the group does not end: {}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_until(&mut self, is: impl Fn(&str) -> bool, what: &str, within: Duration) {
        let deadline = Instant::now() + within;
        self.read_what_is_there();
        if self.lines().any(&is) {
            return;
        }
        while let Ok(line) = self
            .incoming
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
            if self.lines().next_back().is_some_and(&is) {
                return;
            }
        }
        panic!("no `{what}` within {within:?}: {}", self.log());
    }

    /// Every line so far.
    pub(crate) fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.seen.iter().map(String::as_str)
    }

    /// Every line so far, to read.
    pub(crate) fn log(&self) -> String {
        format!("\n{}", self.seen.join("\n"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let left = children_of(self.supervisor.id());
        // Gone already, when the test went well.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        for pid in left
            .into_values()
            .chain(self.agents.values().copied())
            .filter(|pid| is_alive(*pid))
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Sends a process a signal.
pub(crate) fn kill(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}

/// Asserts that none of these processes is left when this time has passed.
pub(crate) fn assert_gone(pids: impl IntoIterator<Item = Pid>, within: Duration) {
    let deadline = Instant::now() + within;
    let pids: Vec<_> = pids.into_iter().collect();
    loop {
        let left: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "still there after {within:?}: {left:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// The agents among a process's children: those that were started as `PROGRAM __agent NAME`, and those in Python.
fn children_of(parent: u32) -> HashMap<String, Pid> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()));
    processes
        .filter_map(|process| agent_in(&process, parent))
        .collect()
}

fn agent_in(process: &Path, parent: u32) -> Option<(String, Pid)> {
    let pid = Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)?;
    if stat_of(process)?.1 != parent {
        return None;
    }
    let command = fs::read_to_string(process.join("cmdline")).ok()?;
    let mut words = command
        .split('\0')
        .skip_while(|word| *word != "__agent" && !word.ends_with("member.py"));
    Some((words.nth(1)?.to_owned(), pid))
}

/// A process's state and its parent.
fn stat_of(process: &Path) -> Option<(char, u32)> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Returns whether a process runs. A zombie does not.
fn is_alive(pid: Pid) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    stat_of(&process).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}
