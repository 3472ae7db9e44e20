//! A group that runs: its processes, its log, its end. Its remaining processes are killed when it
//! is dropped.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};

pub(crate) use crate::program::program_path;

/// A time that only a test that hangs exceeds.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The variable that marks all processes of a group.
const MARK: &str = "MARUN_TEST_GROUP";

/// The launcher.
pub(crate) fn marun() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_marun")))
}

/// The program with the agents, which is a launcher too.
pub(crate) fn program() -> Command {
    clean(Command::new(program_path()))
}

fn clean(mut command: Command) -> Command {
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// The launcher with these arguments, in a terminal of its own; what is written to the second is
/// typed there.
pub(crate) fn in_terminal(arguments: &[&str]) -> (Command, File) {
    let (terminal, device) = open_terminal();
    let mut launcher = clean(Command::new("setsid"));
    launcher.arg("--ctty").arg(marun().get_program());
    launcher.args(arguments);
    launcher.env("TERM", "xterm").env("NO_COLOR", "1");
    launcher.stdin(device.try_clone().unwrap());
    launcher.stdout(device.try_clone().unwrap()).stderr(device);
    (launcher, terminal)
}

/// Runs a command to its end.
pub(crate) fn output_of(mut command: Command, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A folder with the settings of a group. It is removed when its last clone is dropped.
#[derive(Clone)]
pub(crate) struct Folder(Arc<tempfile::TempDir>);

impl Folder {
    /// The group of these `[agent.*]` tables, in the test program.
    pub(crate) fn of(agents: &str) -> Self {
        let program = program_path();
        Self::with(&format!("program = {program:?}\n{agents}"))
    }

    /// A folder with this settings file.
    pub(crate) fn with(settings: &str) -> Self {
        let folder = Self(Arc::new(tempfile::tempdir().unwrap()));
        fs::write(folder.path("settings.toml"), settings).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn settings(&self) -> String {
        self.path("settings.toml").display().to_string()
    }
}

/// A group that runs.
pub(crate) struct Group {
    supervisor: Child,
    incoming: Receiver<String>,
    seen: Vec<String>,
    mark: String,
    pub(crate) folder: Folder,
}

impl Group {
    /// Runs the group of these `[agent.*]` tables under the general launcher.
    pub(crate) fn start(agents: &str) -> Self {
        Self::run(marun(), Folder::of(agents), &[])
    }

    /// Runs the group of a folder's settings under this launcher.
    pub(crate) fn run(mut launcher: Command, folder: Folder, arguments: &[&str]) -> Self {
        launcher.arg(folder.settings()).args(arguments);
        launcher.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (sender, incoming) = mpsc::channel();
        let mut group = Self::spawn(launcher, folder, incoming);
        forward(group.supervisor.stdout.take().unwrap(), sender.clone());
        forward(group.supervisor.stderr.take().unwrap(), sender);
        group
    }

    /// Runs the group of these tables in a terminal; what is written to the second is typed there.
    pub(crate) fn in_terminal(agents: &str, arguments: &[&str]) -> (Self, File) {
        let folder = Folder::of(agents);
        let settings = folder.settings();
        let (launcher, terminal) = in_terminal(&[&[settings.as_str()], arguments].concat());
        let (sender, incoming) = mpsc::channel();
        let group = Self::spawn(launcher, folder, incoming);
        forward(terminal.try_clone().unwrap(), sender);
        (group, terminal)
    }

    fn spawn(mut launcher: Command, folder: Folder, incoming: Receiver<String>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", std::process::id());
        Self {
            supervisor: launcher.env(MARK, &mark).spawn().unwrap(),
            incoming,
            seen: Vec::new(),
            mark,
            folder,
        }
    }

    /// The next line of the log.
    pub(crate) fn next_line(&mut self) -> String {
        self.line_until(Instant::now() + LONG)
    }

    fn line_until(&mut self, deadline: Instant) -> String {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.incoming.recv_timeout(left) {
            Ok(line) => {
                self.seen.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout) => panic!("not within {LONG:?}: {}", self.tail()),
            Err(RecvTimeoutError::Disconnected) => panic!("the group has ended: {}", self.log()),
        }
    }

    /// Waits until a line contains this text, also among lines that were read before. Returns the
    /// text after it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let after = |line: &str| Some(line.split_once(text)?.1.to_owned());
        if let Some(rest) = self.seen.iter().find_map(|line| after(line)) {
            return rest;
        }
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(rest) = after(&self.line_until(deadline)) {
                return rest;
            }
        }
    }

    /// Waits for the next line that contains this text. Returns the text after it.
    pub(crate) fn wait_for_next(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let line = self.line_until(deadline);
            if let Some((_, rest)) = line.split_once(text) {
                return rest.to_owned();
            }
        }
    }

    /// Reads the output of the group for this time.
    pub(crate) fn read_for(&mut self, pause: Duration) -> Vec<String> {
        let deadline = Instant::now() + pause;
        let first = self.seen.len();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => return self.seen[first..].to_vec(),
                Err(RecvTimeoutError::Disconnected) => panic!("it has ended: {}", self.tail()),
            }
        }
    }

    /// Returns the text after this one in each line that contains it.
    pub(crate) fn all_after(&self, text: &str) -> Vec<String> {
        let after = |line: &String| Some(line.split_once(text)?.1.to_owned());
        self.seen.iter().filter_map(after).collect()
    }

    /// Returns the number of lines that contain this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until all agents are ready, and gives their processes by name.
    pub(crate) fn wait_until_ready(&mut self) -> BTreeMap<String, Pid> {
        self.wait_for("all agents are ready");
        let started = |line: &String| {
            let (before, pid) = line.split_once(" started as process ")?;
            let name = before.rsplit(' ').next()?;
            Some((name.to_owned(), pid_of(pid)))
        };
        self.seen.iter().filter_map(started).collect()
    }

    /// Sends the supervisor a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.supervisor), signal).unwrap();
    }

    /// Waits for the supervisor's end, and gives its exit code.
    pub(crate) fn wait_for_end(&mut self) -> Option<i32> {
        let status = self.wait_for_status();
        assert_eq!(self.living(), [], "{}", self.log());
        status.code()
    }

    fn wait_for_status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                // Its output is closed, so it is ending.
                Err(RecvTimeoutError::Disconnected) => return self.supervisor.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.log()),
            }
        }
    }

    /// Kills the supervisor, and waits until nothing of the group is left.
    pub(crate) fn kill_supervisor(&mut self, within: Duration) {
        self.supervisor.kill().unwrap();
        let deadline = Instant::now() + within;
        self.supervisor.wait().unwrap();
        while !self.living().is_empty() {
            let left = self.living();
            assert!(Instant::now() < deadline, "alive: {left:?}: {}", self.log());
            thread::yield_now();
        }
    }

    /// The processes of the group, the supervisor and all that descends from it.
    pub(crate) fn living(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.mark);
        let processes = fs::read_dir("/proc").unwrap();
        let processes = processes.filter_map(|entry| Some(entry.ok()?.path()));
        let ours = processes.filter(|path| is_marked(path, mark.as_bytes()));
        ours.filter_map(|path| Some(pid_of(path.file_name()?.to_str()?)))
            .collect()
    }

    /// The process that ends what a killed supervisor leaves behind.
    pub(crate) fn sentinel(&self) -> Pid {
        let is_sentinel = |pid: &Pid| {
            let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
            fs::read_to_string(path).is_ok_and(|command| command.contains("__sentinel"))
        };
        self.living().into_iter().find(is_sentinel).unwrap()
    }

    /// Returns whether a line contains all these texts.
    pub(crate) fn has(&self, texts: &[&str]) -> bool {
        self.seen
            .iter()
            .any(|line| texts.iter().all(|text| line.contains(text)))
    }

    /// Asserts that a line holds all these texts.
    pub(crate) fn assert_has(&self, texts: &[&str]) {
        assert!(self.has(texts), "no line has {texts:?}: {}", self.log());
    }

    /// The last lines so far, to read where there may be very many.
    fn tail(&self) -> String {
        self.seen[self.seen.len().saturating_sub(200)..].join("\n")
    }

    /// Every line so far, to read.
    pub(crate) fn log(&self) -> String {
        format!("{}\n{}", self.folder.settings(), self.seen.join("\n"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        for pid in self.living() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

pub(crate) fn pid_of(text: &str) -> Pid {
    let number = text.trim().parse().ok();
    number
        .and_then(Pid::from_raw)
        .unwrap_or_else(|| panic!("invalid process id `{text}`"))
}

/// Returns whether this process is alive and was started with this variable. A process that has
/// ended has no variables.
fn is_marked(process: &Path, mark: &[u8]) -> bool {
    let Ok(environment) = fs::read(process.join("environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark)
}

/// A terminal of the usual size: the end of who sits at it, and the device.
fn open_terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let device = ptsname(&terminal, Vec::new()).unwrap();
    let device = File::options()
        .read(true)
        .write(true)
        .open(device.to_str().unwrap())
        .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&device, size).unwrap();
    // By default a Ctrl-C forgets what was printed and not read yet, also in answer to it.
    let mut modes = tcgetattr(&device).unwrap();
    modes.local_modes |= LocalModes::NOFLSH;
    tcsetattr(&device, OptionalActions::Now, &modes).unwrap();
    (File::from(terminal), device)
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches('\n')
                .to_owned();
            line.clear();
            if lines.send(text).is_err() {
                return;
            }
        }
    });
}
