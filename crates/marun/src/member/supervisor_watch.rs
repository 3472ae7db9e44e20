//! Ends a member whose supervisor is gone, even if everything else in it hangs.
//!
//! Two lines hold. The system's own (Linux: a signal at the parent's death) covers the instants before `main` has
//! done anything; the end of the control socket, watched by a thread that does nothing else, covers all others and
//! works everywhere. It starts no agent.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpgrp, getpid, getppid};
use tokio::sync::watch;

use super::control::{self, Report};

/// How long a member may live on without its supervisor, to hand back what it holds.
const SHUTDOWN_TIME: Duration = Duration::from_millis(500);

/// The member's end of the control socket.
#[derive(Debug)]
pub(crate) struct Control {
    socket: UnixStream,
}

impl Control {
    /// Takes the control socket from standard input; must be the first thing that a member does.
    ///
    /// `parent` is the supervisor's process id, and `death_signal` the signal for the case that it dies.
    pub(crate) fn take(parent: i32, death_signal: Signal) -> io::Result<Self> {
        die_with_parent(death_signal)?;
        // Set too late, the signal would never come: then the parent is already another one.
        if getppid() != Pid::from_raw(parent) {
            return Err(io::Error::other(format!(
                "the launcher, process {parent}, is not the parent of this process; \
                 a script that wraps the program must end in `exec`"
            )));
        }
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // What the agent starts must neither read the socket nor hold it open.
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        Ok(Self {
            socket: UnixStream::from(socket),
        })
    }

    /// Reads the supervisor's one message.
    pub(crate) fn assignment(&self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        BufReader::new(&self.socket).read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => Ok(line),
            _ => Err(no_launcher()),
        }
    }

    /// The same socket, for another thread.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { socket })
    }

    /// Says one message of the member.
    pub(crate) fn report(&self, report: &Report) -> io::Result<()> {
        (&self.socket).write_all(&control::line(report)?)
    }

    /// Starts the thread that watches the supervisor's end.
    pub(crate) fn watch(&self) -> io::Result<SupervisorWatch> {
        let socket = self.socket.try_clone()?;
        let (assigned, assignment) = mpsc::channel();
        let (supervisor_gone, is_gone) = watch::channel(false);
        thread::Builder::new()
            .name("marun-control".to_owned())
            .spawn(move || watch_socket(socket, &assigned, &supervisor_gone))?;
        Ok(SupervisorWatch {
            assignment,
            is_gone,
        })
    }
}

/// What the watching thread tells the rest of the process.
#[derive(Debug)]
pub(crate) struct SupervisorWatch {
    assignment: mpsc::Receiver<Vec<u8>>,
    is_gone: watch::Receiver<bool>,
}

impl SupervisorWatch {
    /// Waits for the supervisor's one message.
    pub(crate) fn assignment(&self) -> io::Result<Vec<u8>> {
        self.assignment.recv().map_err(|_| no_launcher())
    }

    /// Completes when the supervisor is gone; the process ends soon after, by itself or not.
    pub(crate) async fn supervisor_gone(&mut self) {
        // The thread drops its end only with the process.
        let _ = self
            .is_gone
            .wait_for(|supervisor_gone| *supervisor_gone)
            .await;
    }
}

fn watch_socket(
    socket: UnixStream,
    assigned: &mpsc::Sender<Vec<u8>>,
    supervisor_gone: &watch::Sender<bool>,
) {
    let mut lines = BufReader::new(socket).split(b'\n');
    if let Some(Ok(line)) = lines.next() {
        let _ = assigned.send(line);
    }
    while let Some(Ok(_)) = lines.next() {}
    supervisor_gone.send_replace(true);
    #[expect(
        clippy::disallowed_methods,
        reason = "the pause is the time that the agent has for its last log lines"
    )]
    thread::sleep(SHUTDOWN_TIME);
    end();
}

/// Ends this process and, where it leads a group as the supervisor makes it do, what it has started.
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

/// Elsewhere the control socket alone must do.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: Signal) -> io::Result<()> {
    Ok(())
}
