//! The exit codes of the command line, on which scripts can rely.

use std::process::ExitCode;

use microagent_core::{Error, ErrorKind};

/// Success. A group ended by itself or by a signal, without a failure.
pub const DONE: u8 = 0;

/// A failure at run time: of an agent, a server or a message.
pub const FAILED: u8 = 1;

/// The command line or the configuration is invalid. Nothing was started or sent, except the lines
/// before an invalid one of `queue send NAME -`.
pub const USAGE: u8 = 2;

/// No receiver listens to the signal that was called, or nobody answers `status`: no launcher of the settings, or no agent on the bus.
pub const NO_RESPONDERS: u8 = 3;

/// No answer arrived in time.
pub const TIMEOUT: u8 = 4;

/// The failure of a command: an exit code and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// Creates a failure for an invalid command line or configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
        }
    }

    /// Creates a failure at run time.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            code: FAILED,
            message: message.into(),
        }
    }

    /// Creates the failure for an error.
    pub(crate) fn of(error: &Error) -> Self {
        let code = match error.kind() {
            ErrorKind::NoResponders => NO_RESPONDERS,
            ErrorKind::Timeout => TIMEOUT,
            ErrorKind::Configuration
            | ErrorKind::Declaration
            | ErrorKind::SignalNotFound
            | ErrorKind::QueueNotFound
            | ErrorKind::InvalidName
            | ErrorKind::InvalidPayload
            | ErrorKind::PayloadTooLarge => USAGE,
            _ => FAILED,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.code)
    }
}

impl From<crate::SettingsError> for Failure {
    fn from(error: crate::SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_code() {
        let codes = [
            (ErrorKind::NoResponders, 3),
            (ErrorKind::Timeout, 4),
            (ErrorKind::SignalNotFound, 2),
            (ErrorKind::Refused, 1),
            (ErrorKind::Unavailable, 1),
            (ErrorKind::Unsupported, 1),
        ];
        for (kind, code) in codes {
            let failure = Failure::from(Error::new(kind, "why"));
            assert_eq!((failure.code, failure.message.as_str()), (code, "why"));
        }
    }
}
