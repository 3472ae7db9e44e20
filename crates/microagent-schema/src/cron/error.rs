//! Why a schedule is refused.

use std::fmt;

use super::Field;

/// A schedule is refused. Its text names the field, what is wrong with it and what is allowed.
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
    /// The field at fault; none where the schedule as a whole is.
    pub field: Option<Field>,
    /// What is wrong and what is allowed, without the field's name.
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
