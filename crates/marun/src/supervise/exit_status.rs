//! How a process ended, in words. It waits for nothing.

use std::fmt;

use rustix::process::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// It left with this code.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// What a shell makes of a child that SIGTERM ended.
const EXIT_BY_TERM: i32 = 128 + 15;

impl ExitStatus {
    /// From what the system says of a process that is gone: its code, or the signal that ended it.
    pub(crate) fn new(code: Option<i32>, signal: Option<i32>) -> Self {
        match signal {
            Some(signal) => Self::Killed(signal),
            None => Self::Exited(code.unwrap_or_default()),
        }
    }

    /// Ended without a failure, not asked to.
    pub(crate) fn is_clean(self) -> bool {
        self == Self::Exited(0)
    }

    /// Ended without a failure after SIGTERM, which a program that does not know it does not survive.
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

/// The usual name of a signal; a number for those that have none.
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
    fn endings_in_words() {
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
    fn sigterm_is_a_clean_end_only_when_asked() {
        for status in [ExitStatus::Killed(15), ExitStatus::Exited(143)] {
            assert!(!status.is_clean() && status.is_clean_stop());
        }
        for status in [ExitStatus::Killed(9), ExitStatus::Exited(1)] {
            assert!(!status.is_clean_stop());
        }
        assert!(ExitStatus::Exited(0).is_clean() && ExitStatus::Exited(0).is_clean_stop());
    }
}
