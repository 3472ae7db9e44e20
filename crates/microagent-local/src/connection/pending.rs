//! The requests that wait for an answer, and those that wait for a connection.

use std::{collections::VecDeque, time::Duration};

use foldhash::HashMap;
use microagent_core::ErrorKind;
use tokio::time::Instant;

use super::command::Reply;
use crate::protocol::{Failure, LocalId, Request, RequestId, WireMessage};

/// The time for which a request waits for a connection before it fails.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) enum PendingRequest {
    Request(Reply),
    Subscribe(LocalId),
    Consume(LocalId),
    Goodbye,
}

/// The requests under way, by their numbers.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    asked: HashMap<RequestId, PendingRequest>,
    last: RequestId,
}

impl PendingRequests {
    /// Adds a request, and returns the number of its answer. Zero means that no answer is wanted.
    pub(super) fn add(&mut self, asked: PendingRequest) -> RequestId {
        if matches!(asked, PendingRequest::Request(Reply::Nobody)) {
            return 0;
        }
        self.last += 1;
        self.asked.insert(self.last, asked);
        self.last
    }

    pub(super) fn take(&mut self, id: RequestId) -> Option<PendingRequest> {
        self.asked.remove(&id)
    }

    /// Adds a message to the answer of a request to peek.
    pub(super) fn show(&mut self, id: RequestId, seen: WireMessage) {
        if let Some(PendingRequest::Request(Reply::Shown(all, _))) = self.asked.get_mut(&id) {
            all.push(seen);
        }
    }

    /// Fails a request that does not fit into a frame.
    pub(super) fn refuse(&mut self, id: RequestId, why: &std::io::Error) {
        if let Some(PendingRequest::Request(reply)) = self.take(id) {
            reply.send(Err(Failure::new(
                ErrorKind::PayloadTooLarge,
                why.to_string(),
            )));
        }
    }

    /// Fails all requests, because the connection is lost. It is unknown whether the hub has received them.
    pub(super) fn fail(&mut self, reason: &str) {
        for (_, asked) in self.asked.drain() {
            if let PendingRequest::Request(reply) = asked {
                let text = format!("{reason}; not confirmed: it may or may not have arrived");
                reply.send(Err(Failure::new(ErrorKind::Unavailable, text)));
            }
        }
    }
}

/// The requests that wait for a connection, in their order.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests(VecDeque<(Instant, Request, Reply)>);

impl WaitingRequests {
    pub(super) fn add(&mut self, request: Request, reply: Reply) {
        self.0
            .push_back((Instant::now() + REQUEST_TIMEOUT, request, reply));
    }

    /// Returns all requests whose senders still wait, because the connection is up.
    pub(super) fn take(&mut self) -> Vec<(Request, Reply)> {
        let waiting = self.0.drain(..).map(|(_, request, reply)| (request, reply));
        waiting.filter(|(_, reply)| !reply.is_void()).collect()
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.front().map(|(end, ..)| *end)
    }

    /// Fails the requests that have waited long enough. `reason` says why the connection is down.
    pub(super) fn expire(&mut self, reason: &str) {
        let now = Instant::now();
        while let Some((_, _, reply)) = self.0.pop_front_if(|(end, ..)| *end <= now) {
            let seconds = REQUEST_TIMEOUT.as_secs();
            let text =
                format!("no connection to a hub within {seconds} s, nothing was sent: {reason}");
            reply.send(Err(Failure::new(ErrorKind::Unavailable, text)));
        }
    }
}
