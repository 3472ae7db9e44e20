//! Which waiting messages are moved or removed by hand.

use crate::{Error, ErrorKind, Result};

/// Which of the waiting messages of a queue [`requeue`](crate::QueueBroker::requeue) moves, or
/// [`purge`](crate::QueueBroker::purge) removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All messages that wait when the operation begins.
    All,
    /// At most this many, from the head of the queue.
    First(u64),
    /// The message with this id, as [`peek`](crate::QueueBroker::peek) gave it in
    /// [`Message::id`](crate::Message::id). Needs [`Caps::select_by_id`](crate::Caps::select_by_id).
    Id(String),
}

impl Selection {
    /// Returns how many messages from the head are selected at most, for a driver that cannot select
    /// by id.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for [`Selection::Id`], with the driver and the id.
    ///
    /// ```
    /// use microagent_core::Selection;
    ///
    /// assert_eq!(Selection::First(7).limit("memory").unwrap(), 7);
    /// assert_eq!(Selection::All.limit("memory").unwrap(), u64::MAX);
    /// assert!(Selection::Id("42".into()).limit("memory").is_err());
    /// ```
    pub fn limit(&self, driver: &str) -> Result<u64> {
        match self {
            Self::All => Ok(u64::MAX),
            Self::First(limit) => Ok(*limit),
            Self::Id(id) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("selecting message `{id}` by its id is not supported by `{driver}`"),
            )),
        }
    }
}
