//! The error about an option: which handler, which option, and what is wrong.

use std::fmt;

/// An option of a handler is unknown, or its value cannot be used.
///
/// ```
/// use microagent_schema::OptionError;
///
/// let error = OptionError::of("timeout", "it must be longer than 0").of_handler("send");
/// assert_eq!(error.to_string(), "handler `send`: `timeout`: it must be longer than 0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionError {
    /// The handler, if the error is about one that is known.
    pub handler: Option<String>,
    /// The option, if the error is about a single one.
    pub option: Option<String>,
    /// Another option that the broken rule is about.
    pub other: Option<&'static str>,
    /// The problem, and the allowed values.
    pub message: String,
}

impl OptionError {
    /// Creates an error about all options.
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            handler: None,
            option: None,
            other: None,
            message: message.to_string(),
        }
    }

    /// Creates an error about one option.
    pub fn of(option: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            option: Some(option.into()),
            ..Self::new(message)
        }
    }

    /// Adds the other option that the broken rule is about.
    #[must_use]
    pub fn and(mut self, other: &'static str) -> Self {
        self.other = Some(other);
        self
    }

    /// Adds the handler.
    #[must_use]
    pub fn of_handler(mut self, handler: impl Into<String>) -> Self {
        self.handler = Some(handler.into());
        self
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(handler) = &self.handler {
            write!(f, "handler `{handler}`: ")?;
        }
        if let Some(option) = &self.option {
            write!(f, "`{option}`: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for OptionError {}
