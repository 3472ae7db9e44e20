//! Starts one member: its own process, its own process group, its control socket, its output.

use std::{
    collections::BTreeSet,
    io::{self, PipeReader},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, Stdio},
};

use rustix::process::{Pid, getpid};

use super::{group::Rules, systemd};
use crate::{
    hidden,
    member::tag::{self, GroupTag},
    settings::Variables,
};

/// What the supervisor knows of a member before it starts it.
pub(crate) struct Launch {
    /// What it may take and what becomes of it.
    pub(crate) rules: Rules,
    /// Which process it becomes.
    pub(crate) kind: Kind,
    /// What it is told over the control socket: one line.
    pub(crate) assignment: Vec<u8>,
}

/// Which process a member becomes.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An agent of this program; it reports that it is ready.
    Agent(PathBuf),
    /// Another program; it is ready when it runs.
    Command,
}

/// A member that runs.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// Its process, which leads a process group of the same number.
    pub(crate) pid: Pid,
    /// The supervisor's end of the control socket.
    pub(crate) control: UnixStream,
    /// What it prints, to standard output and error alike, in its order.
    pub(crate) output: PipeReader,
}

/// Starts a member, whose processes bear the value `tag`. An agent does not inherit the secrets among the variables that the
/// settings name.
///
/// The calling thread must live as long as the supervisor: on Linux a child hears of its parent's death when the
/// *thread* that started it ends.
pub(crate) fn spawn(launch: &Launch, tag: &str, variables: &Variables) -> io::Result<Spawned> {
    let (control, theirs) = UnixStream::pair()?;
    let (output, printed) = io::pipe()?;
    let (program, command) = match &launch.kind {
        Kind::Agent(program) => (program.clone(), hidden::AGENT),
        Kind::Command => (std::env::current_exe()?, hidden::EXEC),
    };
    let mut process = Command::new(program);
    if let Kind::Agent(_) = launch.kind {
        // What it needs of these it gets over the socket.
        remove(&mut process, &variables.secret);
    }
    let child = process
        .args([command, &launch.rules.name, &getpid().to_string()])
        .stdin(OwnedFd::from(theirs))
        .stdout(printed.try_clone()?)
        .stderr(printed)
        .env(tag::VARIABLE, tag)
        // What systemd asks of its service, it asks of the supervisor.
        .env_remove(systemd::NOTIFY_SOCKET)
        .env_remove(systemd::WATCHDOG_PID)
        .env_remove(systemd::WATCHDOG_USEC)
        // A terminal's Ctrl-C is for the supervisor alone.
        .process_group(0)
        .spawn()?;
    Ok(Spawned {
        pid: pid_of(child.id())?,
        control,
        output,
    })
}

/// Starts the sentinel; it is told of groups over the returned pipe.
pub(crate) fn spawn_sentinel(
    tag: &GroupTag,
    variables: &Variables,
) -> io::Result<(Pid, io::PipeWriter)> {
    let (theirs, pipe) = io::pipe()?;
    let mut process = Command::new(std::env::current_exe()?);
    remove(&mut process, &variables.named);
    let child = process
        .args([hidden::SENTINEL, tag.as_str()])
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok((pid_of(child.id())?, pipe))
}

fn remove(process: &mut Command, variables: &BTreeSet<String>) {
    for name in variables {
        process.env_remove(name);
    }
}

fn pid_of(id: u32) -> io::Result<Pid> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("the system gave a process no number"))
}
