//! The queue for the dead letters of a consumer.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OptionError;
use crate::names::{DEAD_LETTER_SUFFIX, check_queue};

/// The destination of a message that cannot be handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeadLetter {
    /// The queue `{queue}.dead`.
    #[default]
    OwnQueue,
    /// The queue of this name.
    Queue(Cow<'static, str>),
    /// None: the message is dropped with an error in the log, as Python MicroAgent does.
    None,
}

impl DeadLetter {
    /// Returns the queue that keeps the dead letters of this queue.
    #[must_use]
    pub fn of(&self, queue: &str) -> Option<String> {
        match self {
            Self::OwnQueue => Some(format!("{queue}{DEAD_LETTER_SUFFIX}")),
            Self::Queue(name) => Some(name.clone().into_owned()),
            Self::None => None,
        }
    }

    /// Returns the destination with the name of the queue filled in.
    #[must_use]
    pub fn named(&self, queue: &str) -> Self {
        match self.of(queue) {
            Some(name) => Self::Queue(name.into()),
            None => Self::None,
        }
    }

    /// Checks the destination of the dead letters of this queue.
    ///
    /// # Errors
    /// [`OptionError`], if it is the queue itself or has a name that a queue cannot have.
    pub fn check_for(&self, queue: &str) -> Result<(), OptionError> {
        let Some(dead_letter) = self.of(queue) else {
            return Ok(());
        };
        let wrong = if dead_letter == queue {
            "it would take them again, for ever".to_owned()
        } else {
            // A queue without a proper name is refused for that, where it is consumed.
            match (
                check_dead_letter_name(queue),
                check_dead_letter_name(&dead_letter),
            ) {
                (Ok(()), Err(error)) => error.to_string(),
                _ => return Ok(()),
            }
        };
        let message = format!(
            "its dead letters would go from `{queue}` to `{dead_letter}`: {wrong}; \
             `dead_letter` names another queue, or is `none`"
        );
        Err(OptionError::of("dead_letter", message))
    }

    /// Checks the destination as far as it can be without the consumer's queue.
    pub(super) fn violation(&self) -> Option<OptionError> {
        let Self::Queue(name) = self else { return None };
        if name == "none" {
            let text = "`none` is the word for no dead letters, not a queue: use `DeadLetter::None`, or another name";
            return Some(OptionError::of("dead_letter", text));
        }
        let refused = check_dead_letter_name(name).err();
        refused.map(|error| OptionError::of("dead_letter", error))
    }

    pub(super) fn is_own_queue(&self) -> bool {
        *self == Self::OwnQueue
    }

    fn read(name: Cow<'static, str>) -> Self {
        match &*name {
            "none" => Self::None,
            _ => Self::Queue(name),
        }
    }
}

/// Checks the name of a queue that may be one of dead letters.
fn check_dead_letter_name(name: &str) -> Result<(), crate::names::NameError> {
    check_queue(name.strip_suffix(DEAD_LETTER_SUFFIX).unwrap_or(name))
}

impl From<&'static str> for DeadLetter {
    /// Reads it as attributes and settings write it: the name of a queue, or `none`.
    fn from(name: &'static str) -> Self {
        Self::read(name.into())
    }
}

impl Serialize for DeadLetter {
    /// Writes the name of the queue; `null` for none.
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Queue(name) => output.serialize_some(name),
            Self::OwnQueue | Self::None => output.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for DeadLetter {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = Option::<String>::deserialize(input)?;
        Ok(name.map_or(Self::None, |name| Self::read(name.into())))
    }
}
