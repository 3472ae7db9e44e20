//! The error of an invalid DSN.

use std::fmt;

/// An invalid part of a DSN, with the problem and the expected form.
///
/// The text does not contain the word "DSN"; the caller adds the context. It never contains a user name or a
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsnError(String);

impl DsnError {
    /// Creates an error, for a driver that does not accept a part of a DSN. The text must not contain
    /// a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DsnError {}
