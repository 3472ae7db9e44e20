//! `sd_notify`: reports the state of the group to the service manager that started the launcher, if
//! there is one.

use std::{
    env, io,
    os::unix::{ffi::OsStrExt, net::UnixDatagram},
    time::{Duration, Instant},
};

use rustix::process::getpid;

use super::{
    group::{Group, Phase},
    pause::later,
};

/// The variables of the protocol: `sd_notify(3)`, `sd_watchdog_enabled(3)`.
pub(super) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
pub(super) const WATCHDOG_PID: &str = "WATCHDOG_PID";
pub(super) const WATCHDOG_USEC: &str = "WATCHDOG_USEC";

/// The connection to the service manager. It reports each status once, and sends keep-alive
/// messages if the manager wants them.
#[derive(Debug)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
    sent: Option<ServiceStatus>,
    was_ready: bool,
    watchdog: Option<Watchdog>,
}

/// The status of the group that is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServiceStatus {
    phase: Phase,
    /// The names of the blocked members.
    blocked: String,
}

/// The keep-alive messages of `WatchdogSec=`.
#[derive(Debug)]
struct Watchdog {
    /// Half of the time that the manager allows, as its documentation recommends.
    every: Duration,
    due: Instant,
}

impl Notifier {
    /// Creates the notifier that the environment asks for.
    pub(super) fn from_environment() -> Self {
        let socket =
            env::var_os(NOTIFY_SOCKET).and_then(|address| match connect(address.as_bytes()) {
                Ok(socket) => Some(socket),
                Err(error) => {
                    tracing::warn!(variable = NOTIFY_SOCKET, %error, "cannot notify the service manager");
                    None
                }
            });
        let variable = |name| env::var(name).ok();
        let own_pid = getpid().as_raw_nonzero().to_string();
        let every = watchdog(
            variable(WATCHDOG_PID).as_deref(),
            variable(WATCHDOG_USEC).as_deref(),
            &own_pid,
        );
        Self {
            sent: None,
            was_ready: false,
            watchdog: every.filter(|_| socket.is_some()).map(|every| Watchdog {
                every,
                due: Instant::now(),
            }),
            socket,
        }
    }

    /// Reports the status of the group if it has changed.
    pub(super) fn update(&mut self, group: &Group) {
        if self.socket.is_none() {
            return;
        }
        let status = ServiceStatus {
            phase: group.phase(),
            blocked: group.blocked_names().join(", "),
        };
        self.send_status(status, group.longest_stop());
    }

    /// Reports a status if it has changed. `longest_stop` is the longest time that stopping can
    /// take.
    fn send_status(&mut self, status: ServiceStatus, longest_stop: Duration) {
        if self.sent.as_ref() == Some(&status) {
            return;
        }
        let text = message(&status, self.was_ready, longest_stop);
        self.was_ready |= status.phase == Phase::Ready;
        self.sent = Some(status);
        self.send(&text);
    }

    /// Returns when the next keep-alive message is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(|watchdog| watchdog.due)
    }

    /// Sends a keep-alive message if it is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if let Some(watchdog) = &mut self.watchdog
            && watchdog.due <= now
        {
            watchdog.due = later(now, watchdog.every);
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, text: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::warn!(text, %error, "cannot notify the service manager");
        }
    }
}

fn message(status: &ServiceStatus, was_ready: bool, longest_stop: Duration) -> String {
    let ServiceStatus { phase, blocked } = status;
    match phase {
        Phase::Starting | Phase::Ready if !blocked.is_empty() => {
            format!("STATUS=blocked: {blocked}")
        }
        Phase::Starting if was_ready => "STATUS=restarting an agent".to_owned(),
        Phase::Starting => "STATUS=starting the agents".to_owned(),
        Phase::Ready => "READY=1\nSTATUS=all agents are ready".to_owned(),
        // Otherwise a manager with a shorter timeout than the agents' grace would kill them.
        Phase::Stopping => format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={}\nSTATUS=stopping the agents",
            longest_stop.as_micros()
        ),
    }
}

/// Returns the interval of the keep-alive messages that the manager wants from this process.
fn watchdog(pid: Option<&str>, usec: Option<&str>, own_pid: &str) -> Option<Duration> {
    if pid.is_some_and(|pid| pid != own_pid) {
        return None;
    }
    let usec: u64 = usec?.parse().ok()?;
    (usec > 0).then(|| Duration::from_micros(usec) / 2)
}

fn connect(address: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match address {
        [b'@', name @ ..] => connect_abstract(&socket, name)?,
        path => socket.connect(std::ffi::OsStr::from_bytes(path))?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("7"), Some("2000000"), "7"), second);
        assert_eq!(watchdog(None, Some("2000000"), "7"), second);
        assert_eq!(watchdog(Some("8"), Some("2000000"), "7"), None);
        for wrong in [None, Some("0"), Some("x")] {
            assert_eq!(watchdog(None, wrong, "7"), None);
        }
    }

    #[test]
    fn each_status_is_sent_once_and_keep_alives_when_they_are_due() {
        let (socket, manager) = UnixDatagram::pair().unwrap();
        manager.set_nonblocking(true).unwrap();
        let start = Instant::now();
        let every = Duration::from_secs(5);
        let mut notifier = Notifier {
            socket: Some(socket),
            sent: None,
            was_ready: false,
            watchdog: Some(Watchdog { every, due: start }),
        };
        let next = || {
            let mut buffer = [0; 200];
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        for (phase, blocked) in [
            (Phase::Starting, ""),
            (Phase::Ready, ""),
            (Phase::Ready, ""),
            (Phase::Ready, "a, b"),
            (Phase::Ready, "a, b"),
            (Phase::Ready, ""),
            (Phase::Starting, ""),
            (Phase::Stopping, ""),
        ] {
            let blocked = blocked.to_owned();
            let status = ServiceStatus { phase, blocked };
            notifier.send_status(status, Duration::from_millis(30_500));
        }
        assert_eq!(next().unwrap(), "STATUS=starting the agents");
        assert_eq!(next().unwrap(), "READY=1\nSTATUS=all agents are ready");
        assert_eq!(next().unwrap(), "STATUS=blocked: a, b");
        assert_eq!(next().unwrap(), "READY=1\nSTATUS=all agents are ready");
        assert_eq!(next().unwrap(), "STATUS=restarting an agent");
        let stopping = "STOPPING=1\nEXTEND_TIMEOUT_USEC=30500000\nSTATUS=stopping the agents";
        assert_eq!(next().unwrap(), stopping);
        assert_eq!(notifier.due(), Some(start));
        notifier.tick(start);
        notifier.tick(start + Duration::from_secs(4));
        assert_eq!((next(), next()), (Some("WATCHDOG=1".to_owned()), None));
        assert_eq!(notifier.due(), Some(start + every));
    }
}
