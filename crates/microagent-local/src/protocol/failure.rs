//! Errors in the protocol: a kind and a text.

use std::fmt;

use microagent_core::{Error, ErrorKind};

/// An error of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) text: String,
}

/// The kinds with a number. Every other kind arrives as [`ErrorKind::Driver`].
const KINDS: [(u8, ErrorKind); 8] = [
    (1, ErrorKind::Driver),
    (2, ErrorKind::Unavailable),
    (3, ErrorKind::Refused),
    (4, ErrorKind::Unsupported),
    (5, ErrorKind::PayloadTooLarge),
    (6, ErrorKind::Closed),
    (7, ErrorKind::InvalidName),
    (8, ErrorKind::Configuration),
];

impl Failure {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    pub(super) fn code(&self) -> u8 {
        let known = KINDS.iter().find(|(_, kind)| *kind == self.kind);
        known.map_or(1, |(code, _)| *code)
    }

    pub(super) fn kind_of(code: u8) -> ErrorKind {
        let known = KINDS.iter().find(|(known, _)| *known == code);
        known.map_or(ErrorKind::Driver, |(_, kind)| *kind)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::new(failure.kind, failure.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
