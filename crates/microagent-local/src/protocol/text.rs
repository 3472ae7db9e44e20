//! A string that shares the buffer it arrived in.

use std::{fmt, ops::Deref};

use bytes::Bytes;

/// UTF-8 in [`Bytes`]: cheap to clone, and read off the wire without a copy.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Text(Bytes);

impl Text {
    /// None for what is not UTF-8.
    pub(crate) fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).ok()?;
        Some(Self(bytes))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // Checked when it was made; a second check costs less than an unchecked block would cost a reader.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
