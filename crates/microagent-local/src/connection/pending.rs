//! Requests that wait: for their answers, or for a connection.

use std::{collections::VecDeque, time::Duration};

use foldhash::HashMap;
use microagent_core::ErrorKind;
use tokio::time::Instant;

use super::command::Reply;
use crate::protocol::{Failure, Letter, LocalId, RequestId, Requested};

/// How long a request waits for a connection before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What was asked, and who waits for it.
#[derive(Debug)]
pub(super) enum Asked {
    Request(Reply),
    Subscribe(LocalId),
    Consume(LocalId),
    Goodbye,
}

/// Requests under way, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Pending {
    asked: HashMap<RequestId, Asked>,
    last: RequestId,
}

impl Pending {
    /// The number under which the answer will come.
    pub(super) fn add(&mut self, asked: Asked) -> RequestId {
        if matches!(asked, Asked::Request(Reply::Nobody)) {
            return 0;
        }
        self.last += 1;
        self.asked.insert(self.last, asked);
        self.last
    }

    pub(super) fn take(&mut self, id: RequestId) -> Option<Asked> {
        self.asked.remove(&id)
    }

    /// One of the messages that somebody looks at.
    pub(super) fn show(&mut self, id: RequestId, seen: Letter) {
        if let Some(Asked::Request(Reply::Shown(all, _))) = self.asked.get_mut(&id) {
            all.push(seen);
        }
    }

    /// What could not even be put into a frame.
    pub(super) fn refuse(&mut self, id: RequestId, why: &std::io::Error) {
        if let Some(Asked::Request(reply)) = self.take(id) {
            reply.send(Err(Failure::new(
                ErrorKind::PayloadTooLarge,
                why.to_string(),
            )));
        }
    }

    /// The connection is lost: whether they arrived is not known.
    pub(super) fn fail(&mut self, reason: &str) {
        for (_, asked) in self.asked.drain() {
            if let Asked::Request(reply) = asked {
                let text = format!("{reason}; not confirmed: it may or may not have arrived");
                reply.send(Err(Failure::new(ErrorKind::Unavailable, text)));
            }
        }
    }
}

/// Requests that wait for a connection, in their order.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<(Instant, Requested, Reply)>);

impl Held {
    pub(super) fn add(&mut self, request: Requested, reply: Reply) {
        self.0
            .push_back((Instant::now() + PATIENCE, request, reply));
    }

    /// There is a connection: those that somebody still waits for.
    pub(super) fn take(&mut self) -> Vec<(Requested, Reply)> {
        let held = self.0.drain(..).map(|(_, request, reply)| (request, reply));
        held.filter(|(_, reply)| !reply.is_void()).collect()
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.front().map(|(end, ..)| *end)
    }

    /// Fails those that have waited long enough for a connection that is not there for this reason.
    pub(super) fn expire(&mut self, reason: &str) {
        let now = Instant::now();
        while let Some((_, _, reply)) = self.0.pop_front_if(|(end, ..)| *end <= now) {
            let seconds = PATIENCE.as_secs();
            let text =
                format!("no connection to a hub within {seconds} s, nothing was sent: {reason}");
            reply.send(Err(Failure::new(ErrorKind::Unavailable, text)));
        }
    }
}
