//! Starts members and the sentinel. A member gets its own process group, a control socket and a
//! pipe for its output.

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

/// A member before its start.
pub(crate) struct Launch {
    /// The time limits and the restart policy.
    pub(crate) rules: Rules,
    /// The kind of process.
    pub(crate) kind: Kind,
    /// The assignment that is sent over the control socket: one line.
    pub(crate) assignment: Vec<u8>,
}

/// The kind of process that a member is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An agent of this program. It reports when it is ready.
    Agent(PathBuf),
    /// Any other program. It is ready when it runs.
    Command,
}

/// A started member.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// The process. It leads a process group with the same number.
    pub(crate) pid: Pid,
    /// The supervisor's end of the control socket.
    pub(crate) control: UnixStream,
    /// The pipe for standard output and standard error.
    pub(crate) output: PipeReader,
}

/// Starts a member. Its processes get the value `tag`. An agent does not inherit those variables of
/// the settings that hold secrets.
///
/// The calling thread must live as long as the supervisor: on Linux, a child gets its parent-death
/// signal when the *thread* that started it ends.
pub(crate) fn spawn(launch: &Launch, tag: &str, variables: &Variables) -> io::Result<Spawned> {
    let (control, member_end) = UnixStream::pair()?;
    let (output, printed) = io::pipe()?;
    let (program, command) = match &launch.kind {
        Kind::Agent(program) => (program.clone(), hidden::AGENT),
        Kind::Command => (std::env::current_exe()?, hidden::EXEC),
    };
    let mut process = Command::new(program);
    if let Kind::Agent(_) = launch.kind {
        // The agent gets the values that it needs over the socket.
        remove(&mut process, &variables.secret);
    }
    let child = process
        .args([command, &launch.rules.name, &getpid().to_string()])
        .stdin(OwnedFd::from(member_end))
        .stdout(printed.try_clone()?)
        .stderr(printed)
        .env(tag::VARIABLE, tag)
        // These variables of systemd are for the supervisor.
        .env_remove(systemd::NOTIFY_SOCKET)
        .env_remove(systemd::WATCHDOG_PID)
        .env_remove(systemd::WATCHDOG_USEC)
        // A Ctrl-C of the terminal must reach only the supervisor.
        .process_group(0)
        .spawn()?;
    Ok(Spawned {
        pid: pid_of(child.id())?,
        control,
        output,
    })
}

/// Starts the sentinel, and returns the pipe for its commands.
pub(crate) fn spawn_sentinel(
    tag: &GroupTag,
    variables: &Variables,
) -> io::Result<(Pid, io::PipeWriter)> {
    let (member_end, pipe) = io::pipe()?;
    let mut process = Command::new(std::env::current_exe()?);
    remove(&mut process, &variables.named);
    let child = process
        .args([hidden::SENTINEL, tag.as_str()])
        .stdin(member_end)
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
    pid.ok_or_else(|| io::Error::other("invalid process id of a child"))
}
