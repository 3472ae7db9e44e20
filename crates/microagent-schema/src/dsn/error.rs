//! What is wrong with a DSN.

use std::fmt;

/// Why a DSN cannot be read: the part, what is wrong with it and what is expected.
///
/// The text does not say "DSN": whoever shows it says of what. It never contains a user name or a
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
