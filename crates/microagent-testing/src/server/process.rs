//! The program of a server as a child process: finding it, starting it, sending it signals and ending it.
//!
//! The module of the server knows its arguments, and when it is ready.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use microagent_core::{Error, ErrorKind, Result, driver::lock};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// The variable with the names of the services that tests must do without, separated by spaces.
const SKIP: &str = "SKIP_SERVICES";

/// A running program. Dropping it kills the program.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    /// Starts a program. Its output goes to the file.
    pub(super) fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self> {
        Self::spawn(Command::new(program).args(arguments), log)
    }

    /// Starts a program in a folder of its own, with these environment variables in addition; what it
    /// prints goes to a file there.
    pub(super) fn start_in(
        folder: &Path,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<Self> {
        let name = program.file_name().unwrap_or(program.as_os_str());
        let mut log = folder.join(name);
        log.set_extension("output");
        let mut command = Command::new(program);
        let command = command.args(arguments).current_dir(folder);
        Self::spawn(command.envs(environment.iter().cloned()), &log)
    }

    fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        let spawned = fs::File::create(log).and_then(|log| {
            let (output, errors) = (log.try_clone()?, log);
            let command = command.stdin(Stdio::null()).stdout(output).stderr(errors);
            command.spawn()
        });
        spawned.map(Self).map_err(|error| {
            let text = format!("{} cannot be started: {error}", program.display());
            Error::new(ErrorKind::Driver, text)
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }

    /// Stops it, as `kill -STOP` does.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues it, as `kill -CONT` does.
    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to stop, as an administrator does. It does nothing if the process has ended.
    pub(super) fn terminate(&mut self) {
        // One that has ended was waited for by this call, so its number may be another's.
        if !self.has_ended() {
            self.signal(Signal::TERM);
        }
    }

    /// Kills it, as `kill -9` does, and waits for its end.
    pub(super) fn kill(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        // Nobody has waited for this child, so the number is still its own; a signal to a process that has ended changes nothing.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server that runs as a child process.
pub(super) trait Server: Sync {
    /// Its name in errors.
    const NAME: &str;

    /// The pause between requests while it is starting.
    const ASK_AGAIN: Duration;

    fn child(&self) -> &Mutex<Process>;

    fn port(&self) -> u16;

    /// Returns true if the server on the port is this one and does its work.
    fn is_answering(&self) -> impl Future<Output = bool> + Send;

    /// Waits until the server answers; false if its process has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if it does not answer until the deadline.
    fn answers(&self, deadline: Instant) -> impl Future<Output = Result<bool>> + Send {
        async move {
            loop {
                if lock(self.child()).has_ended() {
                    return Ok(false);
                }
                if self.is_answering().await {
                    return Ok(true);
                }
                if Instant::now() > deadline {
                    return Err(self.no_answer());
                }
                sleep(Self::ASK_AGAIN).await;
            }
        }
    }

    fn no_answer(&self) -> Error {
        let text = format!(
            "{} does not answer on 127.0.0.1:{}",
            Self::NAME,
            self.port()
        );
        Error::new(ErrorKind::Timeout, text)
    }
}

/// Fails if tests must do without a service.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if `SKIP_SERVICES` names it.
pub(super) fn check_wanted(service: &str) -> Result<()> {
    let skipped = env::var(SKIP).unwrap_or_default();
    if skipped.split_whitespace().any(|name| name == service) {
        let text = format!("`{SKIP}` says to go without {service}");
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    Ok(())
}

/// Finds the program of a service.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if `SKIP_SERVICES` names the service; [`ErrorKind::Configuration`] if the program is not
/// installed.
pub(super) fn program_of(service: &str, program: &str) -> Result<PathBuf> {
    check_wanted(service)?;
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian puts servers into a folder that is not in the `PATH` of an ordinary user.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    let mut candidates = folders.map(|folder: PathBuf| folder.join(program));
    candidates.find(|candidate| candidate.is_file()).ok_or_else(|| {
        let text = format!(
            "there is no `{program}`: `scripts/services install {service}` installs it, and {SKIP}=\"{service}\" goes without"
        );
        Error::new(ErrorKind::Configuration, text)
    })
}

/// Returns a port that is free now.
pub(super) fn free_port() -> Result<u16> {
    free_ports().map(|[port]| port)
}

/// Returns different ports that are free now.
pub(super) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let failed = |error| Error::new(ErrorKind::Driver, format!("there is no free port: {error}"));
    // One that was closed may come again, so all are open until each has its own.
    let mut open = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        *port = listener.local_addr().map_err(failed)?.port();
        open.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_ports_of_a_server_are_different() {
        let ports: [u16; 200] = free_ports().unwrap();
        assert_eq!(HashSet::from(ports).len(), ports.len());
    }
}
