//! The exit status of a process, and its description.

use std::fmt;

use rustix::process::Signal;

/// The exit status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// The process exited with this code.
    Exited(i32),
    /// This signal killed the process.
    Killed(i32),
}

/// The exit code of a shell whose child was killed by SIGTERM.
const EXIT_BY_TERM: i32 = 128 + 15;

impl ExitStatus {
    /// Creates the status from the exit code and the signal that the system reports.
    pub(crate) fn new(code: Option<i32>, signal: Option<i32>) -> Self {
        match signal {
            Some(signal) => Self::Killed(signal),
            None => Self::Exited(code.unwrap_or_default()),
        }
    }

    /// Returns whether the process ended without a failure.
    pub(crate) fn is_clean(self) -> bool {
        self == Self::Exited(0)
    }

    /// Returns whether the process ended without a failure after SIGTERM, which kills a program
    /// that does not handle it.
    pub(crate) fn is_clean_stop(self) -> bool {
        self.is_clean()
            || self == Self::Exited(EXIT_BY_TERM)
            || self == Self::Killed(Signal::TERM.as_raw())
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(0) => f.write_str("ended by itself"),
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Killed(signal) => write!(f, "was killed by {}", signal_name(*signal)),
        }
    }
}

/// Returns the name of a signal, or its number if it has none.
fn signal_name(raw: i32) -> String {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ];
    let known = names.iter().find(|(signal, _)| signal.as_raw() == raw);
    known.map_or_else(|| format!("signal {raw}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_described() {
        let words = [
            (ExitStatus::Exited(0), "ended by itself"),
            (ExitStatus::Exited(1), "exited with code 1"),
            (ExitStatus::Killed(9), "was killed by SIGKILL"),
            (ExitStatus::Killed(11), "was killed by SIGSEGV"),
            (ExitStatus::Killed(40), "was killed by signal 40"),
        ];
        for (status, expected) in words {
            assert_eq!(status.to_string(), expected);
        }
    }

    #[test]
    fn an_end_by_sigterm_is_clean_only_after_a_stop_request() {
        for status in [ExitStatus::Killed(15), ExitStatus::Exited(143)] {
            assert!(!status.is_clean() && status.is_clean_stop());
        }
        for status in [ExitStatus::Killed(9), ExitStatus::Exited(1)] {
            assert!(!status.is_clean_stop());
        }
        assert!(ExitStatus::Exited(0).is_clean() && ExitStatus::Exited(0).is_clean_stop());
    }
}
