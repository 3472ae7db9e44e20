//! The frames: all messages between a client and the hub.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Failure, Text};
use crate::store::{Headers, MessageId};

/// The token of a process during its life, by which its own hub recognises it.
pub(crate) type Token = u128;

/// The number of a request, which its answer repeats. Zero asks for no answer.
pub(crate) type RequestId = u64;

/// A subscription or a consumer, numbered by the client, unique for its connection.
pub(crate) type LocalId = u32;

/// The first frame of a client. Its layout is the same in every version, so that two versions can name each
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) process: Token,
    /// For readers of the hub's log.
    pub(crate) pid: u32,
}

/// Client to hub.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClientFrame {
    Hello(Hello),
    Request(RequestId, Request),
    Ping,
}

/// A request of a client. The hub answers with [`HubFrame::Done`] unless the request names another frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Answered with the number of subscriptions that receive it.
    Publish {
        channel: Text,
        payload: Bytes,
    },
    Subscribe {
        sub: LocalId,
        pattern: Text,
    },
    Unsubscribe {
        sub: LocalId,
    },
    /// Answered with a [`HubFrame::Channels`].
    Channels {
        head: Text,
    },
    Send {
        queue: Text,
        payload: Bytes,
        headers: Headers,
        delay: Option<Duration>,
    },
    Consume {
        consumer: LocalId,
        queue: Text,
        prefetch: u32,
    },
    /// Ends the deliveries. Messages in flight stay in flight, or return to the head of their queue at once.
    Cancel {
        consumer: LocalId,
        give_back: bool,
    },
    Settle {
        consumer: LocalId,
        message: MessageId,
        settlement: WireSettlement,
    },
    /// Answered with the number of waiting messages.
    Length {
        queue: Text,
    },
    /// Answered with a [`HubFrame::Depth`].
    Depth {
        queue: Text,
    },
    Declare {
        queue: Text,
    },
    /// Answered with a [`HubFrame::Lease`].
    Lease {
        key: Text,
        holder: Text,
        ttl: Duration,
    },
    Browse(Browse),
    /// Answered when everything that was requested before is done, whatever its outcome.
    Flush,
    /// The process disconnects in peace. Everything unsettled is returned. Answered like a flush.
    Goodbye,
}

/// A request about waiting messages that consumes none. The hub may process fewer messages than requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Browse {
    /// Answered with a [`HubFrame::Shown`] for each of at most `limit` messages behind the first `skip`, and then done.
    Peek { queue: Text, skip: u32, limit: u32 },
    /// Answered with the number of messages that were moved.
    Requeue { from: Text, to: Text, limit: u32 },
    /// Answered with the number of messages that were removed.
    Purge { queue: Text, limit: u32 },
    /// Answered with the number of moved messages, which is 0 if the message does not wait in the queue.
    RequeueOne {
        from: Text,
        to: Text,
        message: MessageId,
    },
    /// Answered with the number of removed messages, which is 0 if the message does not wait in the queue.
    PurgeOne { queue: Text, message: MessageId },
}

/// The messages of a queue by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
}

/// A settlement on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireSettlement {
    Ack,
    Return,
    Retry {
        after: Duration,
    },
    DeadLetter {
        queue: Text,
        /// Headers that are added to those of the message.
        headers: Headers,
    },
}

/// Hub to client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HubFrame {
    /// The hub speaks this version. If it is not the client's, nothing follows.
    Welcome {
        version: u16,
    },
    Done(RequestId, Result<(), Failure>),
    /// All requests from the first to the last are done, because they were sent consecutively.
    AllDone(RequestId, RequestId),
    Count(RequestId, u64),
    Depth(RequestId, QueueCounts),
    /// The time for which another holder has the key; `None` if the lease was granted.
    Lease(RequestId, Option<Duration>),
    /// The channels with the requested head that have a subscription of their own.
    Channels(RequestId, Vec<Text>),
    Event {
        sub: LocalId,
        channel: Text,
        payload: Bytes,
    },
    /// This subscription has missed signals, because its process reads too slowly.
    Gap {
        sub: LocalId,
        count: u64,
        lasted: Duration,
    },
    Delivery {
        consumer: LocalId,
        message: WireMessage,
    },
    /// A waiting message that a request to peek shows.
    Shown {
        request: RequestId,
        message: WireMessage,
    },
    Pong,
}

/// A message that is sent to a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WireMessage {
    pub(crate) id: MessageId,
    pub(crate) attempt: u32,
    pub(crate) crashes: u32,
    /// The time at which an attempt failed first.
    pub(crate) first_failure: Option<SystemTime>,
    pub(crate) headers: Headers,
    pub(crate) payload: Bytes,
}
