//! The commands of handles to the task of the connection.

use std::time::Duration;

use microagent_core::{Depth, Error, ErrorKind, Lease, Mailbox, Result, ledger::MessageId};
use tokio::sync::oneshot;

use super::consumers::Consumer;
use crate::protocol::{Failure, LocalId, QueueCounts, Request, Text, WireMessage, WireSettlement};

/// A handle, numbered in its connection.
pub(crate) type SessionId = u32;

/// A connection to a hub, counted from 1; zero means none. Deliveries of an earlier connection are void.
pub(crate) type Epoch = u64;

#[derive(Debug)]
pub(crate) enum Command {
    /// A request, answered once. Without a connection it waits up to
    /// [`REQUEST_TIMEOUT`](super::pending::REQUEST_TIMEOUT).
    Request(Request, Reply),
    Settle {
        epoch: Epoch,
        consumer: LocalId,
        message: MessageId,
        settlement: WireSettlement,
        done: oneshot::Sender<Result<()>>,
    },
    Subscribe {
        sub: LocalId,
        session: SessionId,
        pattern: Text,
        mailbox: Mailbox,
    },
    Unsubscribe(LocalId),
    Consume(LocalId, Consumer),
    /// The stream of a consumer was dropped with these unread deliveries.
    Cancel {
        consumer: LocalId,
        unread: Vec<(Epoch, MessageId)>,
    },
    /// A handle was closed: its subscriptions and consumers end, and unsettled messages are returned.
    Close(SessionId, oneshot::Sender<Result<()>>),
    /// The last handle was closed.
    Goodbye(oneshot::Sender<Result<()>>),
    /// The connection ends as if its process had died.
    Crash,
}

/// The receiver of an answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Done(oneshot::Sender<Result<()>>),
    Count(oneshot::Sender<Result<u64>>),
    Depth(oneshot::Sender<Result<Depth>>),
    Lease(oneshot::Sender<Result<Lease>>),
    Channels(oneshot::Sender<Result<Vec<Text>>>),
    /// The messages that have arrived so far.
    Shown(Vec<WireMessage>, oneshot::Sender<Result<Vec<WireMessage>>>),
    /// Nobody waits for the answer.
    Nobody,
}

impl Reply {
    pub(crate) fn send(self, result: Result<Answer, Failure>) {
        let result = result.map_err(Error::from);
        // The receiver may have stopped waiting.
        match self {
            Self::Done(done) => drop(done.send(result.map(drop))),
            Self::Count(count) => drop(count.send(result.and_then(Answer::count))),
            Self::Depth(depth) => drop(depth.send(result.and_then(Answer::depth))),
            Self::Lease(lease) => drop(lease.send(result.and_then(Answer::lease))),
            Self::Channels(channels) => drop(channels.send(result.and_then(Answer::channels))),
            Self::Shown(seen, shown) => drop(shown.send(result.map(|_| seen))),
            Self::Nobody => {}
        }
    }

    /// Returns true if the receiver of the answer has stopped waiting.
    pub(crate) fn is_void(&self) -> bool {
        match self {
            Self::Done(done) => done.is_closed(),
            Self::Count(count) => count.is_closed(),
            Self::Depth(depth) => depth.is_closed(),
            Self::Lease(lease) => lease.is_closed(),
            Self::Channels(channels) => channels.is_closed(),
            Self::Shown(_, shown) => shown.is_closed(),
            Self::Nobody => false,
        }
    }
}

/// The hub's answer to a request that succeeded.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Count(u64),
    Depth(QueueCounts),
    Lease(Option<Duration>),
    Channels(Vec<Text>),
}

impl Answer {
    fn count(self) -> Result<u64> {
        match self {
            Self::Count(count) => Ok(count),
            other => Err(other.unexpected("a number")),
        }
    }

    fn depth(self) -> Result<Depth> {
        let Self::Depth(counts) = self else {
            return Err(self.unexpected("the depth of a queue"));
        };
        let mut depth = Depth::of_waiting(counts.waiting);
        depth.in_flight = Some(counts.in_flight);
        depth.delayed = Some(counts.delayed);
        Ok(depth)
    }

    fn lease(self) -> Result<Lease> {
        match self {
            Self::Lease(None) => Ok(Lease::Granted),
            Self::Lease(Some(left)) => Ok(Lease::Held { left }),
            other => Err(other.unexpected("a lease")),
        }
    }

    fn channels(self) -> Result<Vec<Text>> {
        match self {
            Self::Channels(channels) => Ok(channels),
            other => Err(other.unexpected("the channels with a subscription")),
        }
    }

    fn unexpected(&self, expected: &str) -> Error {
        let text = format!("invalid answer {self:?} of the hub: expected {expected}");
        Error::new(ErrorKind::Driver, text)
    }
}
