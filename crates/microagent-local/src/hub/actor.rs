//! The task that owns the hub's state: takes the messages that have arrived, changes the state, and sends all
//! consequences at once.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use microagent_core::Result;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tracing::error;

use super::{
    connection::weight,
    connections::{Connection, ConnectionId, Connections, ReplyTarget},
    drain::Drain,
    outgoing::FrameSender,
    queues::{Arrival, BrowseScope, Commits, Peeks, Queues, Reads},
    signals::Signals,
    time::{CHECK, Time},
};
use crate::{
    clocks::Clocks,
    protocol::{Browse, Hello, LocalId, Request, RequestId, Token},
    store::{Snapshot, Writer},
};

/// The maximum number of messages that are taken before their consequences are sent.
const TURN: usize = 32;

/// The period after which slow readers, and bodies that could not be read, are checked again.
const RECHECK_PERIOD: Duration = Duration::from_millis(500);

/// The time that clients have to read their last answers when the hub closes.
const FINAL_WRITES: Duration = Duration::from_secs(1);

/// A message to the actor.
#[derive(Debug)]
pub(super) enum ActorMessage {
    Connected {
        id: ConnectionId,
        hello: Hello,
        outgoing: FrameSender,
    },
    Requests(ConnectionId, Vec<(RequestId, Request)>),
    /// The connection has room for messages that wait for it.
    Room(ConnectionId),
    Disconnected(ConnectionId),
    Drain(oneshot::Sender<()>),
    Close(oneshot::Sender<Result<()>>),
}

/// The state of a hub.
#[derive(Debug)]
pub(super) struct Actor {
    process: Token,
    writer: Writer,
    connections: Connections,
    signals: Signals,
    queues: Queues,
    commits: Commits,
    reads: Reads,
    peeks: Peeks,
    recheck: Option<Instant>,
    next_check: Instant,
    /// Set when the hub must end. It then hands out nothing more.
    drain: Option<Drain>,
    closing: Option<oneshot::Sender<Result<()>>>,
    broken: bool,
}

impl Actor {
    pub(super) fn new(
        writer: Writer,
        snapshot: Snapshot,
        process: Token,
        clocks: Arc<dyn Clocks>,
    ) -> Self {
        Self {
            process,
            writer,
            connections: Connections::default(),
            signals: Signals::default(),
            queues: Queues::load(snapshot, Time::new(clocks)),
            commits: Commits::new(),
            reads: Reads::new(),
            peeks: Peeks::new(),
            recheck: None,
            next_check: Instant::now() + CHECK,
            drain: None,
            closing: None,
            broken: false,
        }
    }

    /// Runs until the hub is closed, until the hub and all connections are gone, or until the store is closed.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<ActorMessage>) {
        let mut batch = Vec::with_capacity(TURN);
        loop {
            self.consequences();
            if self.broken || self.closing.is_some() {
                break;
            }
            let wakeup = self.wakeup();
            tokio::select! {
                taken = inbox.recv_many(&mut batch, TURN) => {
                    if taken == 0 {
                        break;
                    }
                    batch.drain(..).for_each(|message| self.handle(message));
                }
                Some(confirmation) = self.commits.next() => {
                    self.broken |= !self.queues.confirm(confirmation, &self.connections);
                }
                Some(look) = self.peeks.next() => {
                    let next = self.queues.show(look, &self.connections, &self.writer);
                    self.peeks.extend(next);
                }
                Some(on_bodies_read) = self.reads.next() => self.queues.on_bodies_read(on_bodies_read, &self.connections),
                () = sleep_until(wakeup) => self.on_tick(),
            }
            self.drain();
        }
        self.end(inbox).await;
    }

    /// Handles the commits and reads that are finished as well.
    fn drain(&mut self) {
        while let Some(Some(confirmation)) = self.commits.next().now_or_never() {
            self.broken |= !self.queues.confirm(confirmation, &self.connections);
        }
        while let Some(Some(on_bodies_read)) = self.reads.next().now_or_never() {
            self.queues
                .on_bodies_read(on_bodies_read, &self.connections);
        }
    }

    /// Performs everything that follows from the changes of this turn.
    fn consequences(&mut self) {
        self.queues.wake(Instant::now());
        self.queues.use_room(&self.connections);
        match &mut self.drain {
            None => self.queues.hand_out(&self.connections),
            Some(drain) => drain.look(self.queues.in_flight()),
        }
        self.queues.read(&self.writer, &mut self.reads);
        self.queues.submit(&self.writer, &mut self.commits);
    }

    /// Returns when the actor must act although nothing arrives.
    fn wakeup(&mut self) -> Instant {
        let unfinished = self.signals.is_behind() || self.queues.has_unread();
        if unfinished && self.recheck.is_none() {
            self.recheck = Some(Instant::now() + RECHECK_PERIOD);
        }
        let due = self.queues.next_due();
        let drain = self.drain.as_ref().and_then(Drain::wakeup);
        let times = [self.recheck, due, drain].into_iter().flatten();
        times.fold(self.next_check, Instant::min)
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        if self.next_check <= now {
            self.next_check = now + CHECK;
            self.queues.follow_clock();
        }
        if self.recheck.take_if(|at| *at <= now).is_some() {
            self.signals.catch_up(&self.connections);
            self.queues.want_again();
        }
    }

    fn handle(&mut self, message: ActorMessage) {
        match message {
            ActorMessage::Connected {
                id,
                hello,
                outgoing,
            } => {
                let own = hello.process == self.process;
                self.connections.insert(id, Connection { outgoing, own });
            }
            ActorMessage::Requests(connection, requests) => {
                for (id, request) in requests {
                    let target = ReplyTarget {
                        connection,
                        request: id,
                        weight: weight(&request),
                    };
                    self.answer(target, request);
                }
            }
            ActorMessage::Room(id) => self.queues.has_room(id, &self.connections),
            ActorMessage::Disconnected(id) => self.on_disconnect(id),
            ActorMessage::Drain(drained) => {
                self.queues.recall(&self.connections);
                self.drain = Some(Drain::begin(drained, self.queues.in_flight()));
            }
            ActorMessage::Close(done) => self.closing = Some(done),
        }
    }

    fn answer(&mut self, target: ReplyTarget, request: Request) {
        let (queues, connections) = (&mut self.queues, &self.connections);
        match request {
            Request::Publish { channel, payload } => {
                let receivers = self.signals.publish(&channel, &payload, connections);
                connections.count(target, receivers);
            }
            Request::Subscribe { sub, pattern } => self.subscribe(target, sub, &pattern),
            Request::Unsubscribe { sub } => self.unsubscribe(target, sub),
            Request::Channels { head } => {
                connections.channels(target, self.signals.channels(&head));
            }
            Request::Send {
                queue,
                payload,
                headers,
                delay,
            } => {
                let arrival = Arrival {
                    queue,
                    payload,
                    headers,
                    delay,
                };
                queues.send(target, arrival, connections);
            }
            Request::Consume {
                consumer,
                queue,
                prefetch,
            } => queues.consume(target, (consumer, prefetch), &queue, connections),
            Request::Cancel {
                consumer,
                give_back,
            } => queues.cancel(target, consumer, give_back, connections),
            Request::Settle {
                consumer,
                message,
                settlement,
            } => queues.settle(target, (consumer, message), settlement, connections),
            Request::Length { queue } => {
                connections.count(target, queues.length(&queue));
            }
            Request::Depth { queue } => connections.depth(target, queues.counts(&queue)),
            Request::Declare { queue } => queues.declare(target, &queue),
            Request::Lease { key, holder, ttl } => {
                queues.lease(target, &key, &holder, ttl, connections);
            }
            Request::Browse(browse) => self.browse(target, browse),
            Request::Flush => queues.answer_in_turn(target),
            Request::Goodbye => self.on_goodbye(target),
        }
    }

    fn subscribe(&mut self, target: ReplyTarget, sub: LocalId, pattern: &str) {
        let subscribed = self.signals.subscribe(target.connection, sub, pattern);
        self.connections.done(target, subscribed);
    }

    fn unsubscribe(&mut self, target: ReplyTarget, sub: LocalId) {
        self.signals.unsubscribe(target.connection, sub);
        self.connections.done(target, Ok(()));
    }

    fn browse(&mut self, target: ReplyTarget, browse: Browse) {
        match browse {
            Browse::Peek { queue, skip, limit } => {
                let look = self
                    .queues
                    .peek(target, &queue, (skip, limit), &self.writer);
                self.peeks.push(look);
            }
            Browse::Requeue { from, to, limit } => {
                let scope = BrowseScope::First(limit);
                self.queues.requeue(target, &from, &to, scope);
            }
            Browse::Purge { queue, limit } => {
                self.queues.purge(target, &queue, BrowseScope::First(limit));
            }
            Browse::RequeueOne { from, to, message } => {
                self.queues
                    .requeue(target, &from, &to, BrowseScope::One(message));
            }
            Browse::PurgeOne { queue, message } => {
                self.queues.purge(target, &queue, BrowseScope::One(message));
            }
        }
    }

    fn on_goodbye(&mut self, target: ReplyTarget) {
        let own = self.connections.is_own(target.connection);
        self.signals.remove(target.connection);
        self.queues.lost(target.connection, true, own);
        self.queues.answer_in_turn(target);
    }

    /// Handles the end of a connection. After a goodbye nothing of it is left.
    fn on_disconnect(&mut self, id: ConnectionId) {
        self.signals.remove(id);
        self.queues.lost(id, false, self.connections.is_own(id));
        self.connections.remove(id);
    }

    /// Ends the hub: writes and answers everything, closes all connections, and closes the store.
    async fn end(mut self, mut inbox: mpsc::Receiver<ActorMessage>) {
        let peace = self.closing.is_some();
        let connections = self.connections.ids();
        for id in &connections {
            self.signals.remove(*id);
            self.queues.lost(*id, peace, self.connections.is_own(*id));
        }
        self.queues.submit(&self.writer, &mut self.commits);
        while let Some(confirmation) = self.commits.next().await {
            self.queues.confirm(confirmation, &self.connections);
        }
        self.connections = Connections::default();
        // Clients that do not read their last answers in time do not get them.
        let _ = timeout(FINAL_WRITES, until_gone(&mut inbox, connections)).await;
        let closed = self.writer.close().await;
        match self.closing {
            // The caller may have stopped waiting.
            Some(done) => drop(done.send(closed)),
            None => {
                drop(closed.inspect_err(
                    |error| error!(%error, "the hub ended because its store is closed"),
                ));
            }
        }
    }
}

async fn until_gone(inbox: &mut mpsc::Receiver<ActorMessage>, mut connections: Vec<ConnectionId>) {
    while !connections.is_empty() {
        match inbox.recv().await {
            Some(ActorMessage::Disconnected(id)) => {
                connections.retain(|connection| *connection != id);
            }
            // Requests are no longer answered: the end of the connection tells the client.
            Some(_) => {}
            None => return,
        }
    }
}
