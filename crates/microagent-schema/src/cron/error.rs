//! The error of an invalid schedule.

use std::fmt;

use super::Field;

/// An invalid schedule. Its text contains the field, the problem and the allowed values.
///
/// ```
/// use microagent_schema::{CronSpec, Field};
///
/// let error = CronSpec::parse("0 24 * * *").unwrap_err();
/// assert_eq!(error.field, Some(Field::Hour));
/// assert_eq!(error.to_string(), "hour: 24 is out of range 0-23");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CronError {
    /// The invalid field; `None` if the schedule as a whole is invalid.
    pub field: Option<Field>,
    /// The problem and the allowed values, without the field's name.
    pub message: String,
}

impl CronError {
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self {
            field: None,
            message: message.into(),
        }
    }

    pub(super) fn of(field: Field, message: impl Into<String>) -> Self {
        Self {
            field: Some(field),
            message: message.into(),
        }
    }
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for CronError {}
