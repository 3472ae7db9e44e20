//! Ends a member when its supervisor is gone, even if everything else in the member hangs.
//!
//! There are two mechanisms. On Linux, the kernel sends a signal when the parent dies; this covers
//! the time before `main` has done anything. On all systems, a thread waits for the end of the
//! control socket.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use microagent_core::{driver::lock, status::StatusSlot};
use rustix::process::{Pid, Signal, getpgrp, getpid, getppid};
use tokio::sync::watch;

use super::{
    answer,
    control::{self, Question, Report},
};

/// The time in which a member must stop without its supervisor, and return its messages.
const SHUTDOWN_TIME: Duration = Duration::from_millis(500);

/// The member's end of the control socket.
#[derive(Debug)]
pub(crate) struct Control {
    socket: UnixStream,
    /// Locked while a report is written, so that a long one is not torn. Clones share it.
    writing: Arc<Mutex<()>>,
}

impl Control {
    /// Takes the control socket from standard input. A member must call this before anything else.
    ///
    /// `parent` is the process id of the supervisor. `death_signal` is sent to this process when
    /// the supervisor dies.
    pub(crate) fn take(parent: i32, death_signal: Signal) -> io::Result<Self> {
        die_with_parent(death_signal)?;
        // If the supervisor died before the signal was set, this process has another parent
        // already.
        if getppid() != Pid::from_raw(parent) {
            return Err(io::Error::other(format!(
                "the launcher, process {parent}, is not the parent of this process; \
                 a script that starts the program must do it with `exec`"
            )));
        }
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // Processes that the agent starts must not inherit the socket.
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        Ok(Self {
            socket: UnixStream::from(socket),
            writing: Arc::default(),
        })
    }

    /// Reads the assignment.
    pub(crate) fn assignment(&self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        BufReader::new(&self.socket).read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => Ok(line),
            _ => Err(no_launcher()),
        }
    }

    /// Returns another handle of the socket.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            writing: Arc::clone(&self.writing),
        })
    }

    /// Sends a report.
    pub(crate) fn report(&self, report: &Report) -> io::Result<()> {
        let line = control::line(report)?;
        let _writing = lock(&self.writing);
        (&self.socket).write_all(&line)
    }

    /// Starts the thread that reads the assignment and then questions, until the end of the socket,
    /// and the thread that answers them with the status of the agent in the slot.
    pub(crate) fn watch(&self, slot: StatusSlot) -> io::Result<SupervisorWatch> {
        let socket = self.socket.try_clone()?;
        let questions = answer::start(self.try_clone()?, slot)?;
        let (assigned, assignment) = mpsc::channel();
        let (supervisor_gone, is_gone) = watch::channel(false);
        thread::Builder::new()
            .name("marun-control".to_owned())
            .spawn(move || watch_socket(socket, &assigned, &questions, &supervisor_gone))?;
        Ok(SupervisorWatch {
            assignment,
            is_gone,
        })
    }
}

/// The receiving side of the watching thread.
#[derive(Debug)]
pub(crate) struct SupervisorWatch {
    assignment: mpsc::Receiver<Vec<u8>>,
    is_gone: watch::Receiver<bool>,
}

impl SupervisorWatch {
    /// Waits for the assignment.
    pub(crate) fn assignment(&self) -> io::Result<Vec<u8>> {
        self.assignment.recv().map_err(|_| no_launcher())
    }

    /// Waits until the supervisor is gone. The thread then kills the process after
    /// [`SHUTDOWN_TIME`].
    pub(crate) async fn supervisor_gone(&mut self) {
        // The thread keeps its side until the end of the process.
        let _ = self
            .is_gone
            .wait_for(|supervisor_gone| *supervisor_gone)
            .await;
    }
}

fn watch_socket(
    socket: UnixStream,
    assigned: &mpsc::Sender<Vec<u8>>,
    questions: &mpsc::SyncSender<Question>,
    supervisor_gone: &watch::Sender<bool>,
) {
    let mut lines = BufReader::new(socket).split(b'\n');
    if let Some(Ok(line)) = lines.next() {
        let _ = assigned.send(line);
    }
    while let Some(Ok(line)) = lines.next() {
        if let Ok(question) = serde_json::from_slice(&line) {
            // If one waits already, its answer is an answer to this one, too.
            let _ = questions.try_send(question);
        }
    }
    supervisor_gone.send_replace(true);
    #[expect(
        clippy::disallowed_methods,
        reason = "the pause is the time that the agent has for its last log lines"
    )]
    thread::sleep(SHUTDOWN_TIME);
    end();
}

/// Kills this process, and its process group if it leads one, as members do.
fn end() -> ! {
    if getpgrp() == getpid() {
        let _ = rustix::process::kill_current_process_group(Signal::KILL);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the process must end although threads of it hang"
    )]
    std::process::abort();
}

fn no_launcher() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the launcher is gone")
}

#[cfg(target_os = "linux")]
fn die_with_parent(signal: Signal) -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        signal,
    ))?)
}

/// Other systems have no such signal; the control socket must suffice.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: Signal) -> io::Result<()> {
    Ok(())
}
