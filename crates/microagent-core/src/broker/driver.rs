//! The contract of a queue broker driver: send, consume, and one settlement per delivery.
//!
//! A driver works with queues and bytes. It never decodes a payload, never calls a handler and never
//! chooses a settlement.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{
    Caps, ConsumeOptions, DeclareOptions, Depth, LengthCounts, Route, Selection, SendOptions,
};
use crate::{Delivery, Error, ErrorKind, Leases, Message, Queue, Result, driver::ConnectionState};

/// A queue server, seen from one process.
///
/// # Contract
/// - [`send`](Self::send) returns when the server has accepted the message as durably as it promises.
/// - A message is delivered to one consumer at a time. A settled message is removed from its old place.
/// - A message that was in flight when its consumer's process ended without settling it is a suspect: it is
///   delivered again with [`Message::crashes`](crate::Message::crashes) raised, and alone. A consumer gets a suspect
///   only when its process has nothing else in flight, and gets nothing else until the suspect is settled. If the
///   server cannot distinguish a lost connection from the end of a process, a lost connection makes suspects, too.
///   If the driver cannot know which of the messages had reached a handler, all of them are suspects.
///   [`Settlement::Return`](crate::Settlement::Return) never raises the count.
/// - A [`Settlement`](crate::Settlement) that moves a message leaves it in the old place or in the new one at any time,
///   never in neither. If the server cannot move a message in one step, a crash may leave it in both.
/// - At most [`ConsumeOptions::prefetch`] deliveries of one `consume` are unsettled.
/// - Dropping the stream stops fetching; deliveries that it buffered go back as [`Settlement::Return`](crate::Settlement).
///   Deliveries that the consumer has already received may still be settled.
/// - The driver reconnects until it succeeds; the stream ends only when it is dropped or after [`close`](Self::close).
#[async_trait]
pub trait QueueBroker: Send + Sync + fmt::Debug + 'static {
    /// Sends one message and returns when the server has accepted it. With [`Caps::creates`], the driver
    /// creates the queue if it does not exist.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) (not confirmed: the message may or may not have arrived),
    /// [`Unroutable`](crate::ErrorKind::Unroutable) for a queue that does not exist, without [`Caps::creates`]
    /// ([`Route::unroutable`] builds that error),
    /// [`PayloadTooLarge`](crate::ErrorKind::PayloadTooLarge), [`Unsupported`](crate::ErrorKind::Unsupported) for an option
    /// outside [`caps`](Self::caps), [`Closed`](crate::ErrorKind::Closed).
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()>;

    /// Consumes the messages of a queue. The driver creates the queue if it does not exist.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused), [`Unsupported`](crate::ErrorKind::Unsupported) for an unknown driver option,
    /// [`Closed`](crate::ErrorKind::Closed).
    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>>;

    /// Returns how many messages wait in the queue, 0 if it does not exist. Messages in flight or waiting for
    /// a retry are not counted, except as [`Caps::length`] says.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Closed`](crate::ErrorKind::Closed).
    async fn length(&self, queue: &Queue) -> Result<u64>;

    /// Returns how many messages the queue holds, by state. The default implementation knows only the
    /// number of waiting messages, and only if [`length`](Self::length) counts them.
    ///
    /// # Errors
    /// Those of [`length`](Self::length).
    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        let length = self.length(queue).await?;
        Ok(match self.caps().length {
            LengthCounts::Waiting => Depth::of_waiting(length),
            LengthCounts::Unsettled => Depth::default(),
        })
    }

    /// Creates the queue if it does not exist, with its exchange and topics if the server has them. An existing
    /// queue stays as it is, whatever the options say.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for an unknown option of the driver,
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Refused`](crate::ErrorKind::Refused), [`Closed`](crate::ErrorKind::Closed).
    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()>;

    /// Returns up to `limit` waiting messages from the head of the queue, without consuming them. A dead
    /// letter has its reason in its [headers](crate::header), even if the driver has no other headers.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Closed`](crate::ErrorKind::Closed);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Caps::peek`].
    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        let _ = limit;
        Err(no_browsing(&self.address(), queue))
    }

    /// Moves waiting messages of one queue to the tail of another, which is created if it does not exist, and
    /// returns how many it moved. Moved messages are new there: without attempts, crashes and the headers of a dead
    /// letter. At any time each message is in one of the two queues. If the server cannot move a message in one
    /// step, a crash may leave it in both.
    ///
    /// # Errors
    /// Those of [`peek`](Self::peek); [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Caps::requeue`], or for [`Selection::Id`] without [`Caps::select_by_id`]. Messages that were moved
    /// before the error stay moved.
    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        let _ = (to, which.limit(&self.address())?);
        Err(no_browsing(&self.address(), from))
    }

    /// Removes waiting messages and returns how many it removed. Messages in flight or waiting for a
    /// retry stay.
    ///
    /// # Errors
    /// Those of [`peek`](Self::peek); [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Caps::purge`], or for [`Selection::Id`] without [`Caps::select_by_id`]. Messages that were removed
    /// before the error stay removed.
    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        let _ = which.limit(&self.address())?;
        Err(no_browsing(&self.address(), queue))
    }

    /// Moves the messages that this driver keeps beside a queue (waiting retries, suspects, messages that
    /// dead consumers had in flight) back to the queue itself, as new messages, and returns how many it moved.
    /// A program that knows only the server's plain queue can then consume them.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) while an agent consumes the queue,
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Closed`](crate::ErrorKind::Closed);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Caps::release`].
    async fn release(&self, queue: &Queue) -> Result<u64> {
        let text = format!(
            "releasing `{queue}` is not supported by `{}`: no other program shares its queues",
            self.address()
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// Returns the leases of the server. `None` without [`Caps::leases`].
    fn leases(&self) -> Option<&dyn Leases> {
        None
    }

    /// Returns the state of the connection, without asking the server. `None` without
    /// [`Caps::connection`].
    fn connection(&self) -> Option<ConnectionState> {
        None
    }

    /// Returns the capabilities of this driver.
    fn caps(&self) -> Caps;

    /// Waits until the server is reached.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) or [`Closed`](crate::ErrorKind::Closed), because waiting does not help.
    async fn ready(&self) -> Result<()>;

    /// Returns the DSN without credentials, for logs and `info()`.
    fn address(&self) -> String;

    /// Flushes settlements, and ends all consumers and the connection. Calling it twice is harmless.
    ///
    /// # Errors
    /// An error if settlements could not be flushed; their messages will be delivered again.
    async fn close(&self) -> Result<()>;
}

fn no_browsing(address: &str, queue: &Queue) -> Error {
    let text = format!(
        "the driver of `{address}` cannot look into `{queue}`: its messages can only be consumed"
    );
    Error::new(ErrorKind::Unsupported, text)
}
