//! The task that owns the hub's state: takes what has come, changes the state, and sends the consequences off in one go.

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
    connections::{Asked, Connection, ConnectionId, Connections},
    drain::Drain,
    outgoing::Outgoing,
    queues::{Arrival, Commits, Looks, Queues, Reads, Which},
    signals::Signals,
    time::{CHECK, Time},
};
use crate::{
    clocks::Clocks,
    protocol::{Browse, Hello, LocalId, RequestId, Requested, Token},
    store::{Snapshot, Writer},
};

/// How many chunks are taken at once before their consequences are sent off.
const TURN: usize = 32;

/// How often slow readers, and bodies that could not be read, are looked at again.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// How long those who are let go may take for what was already said to them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the actor is told.
#[derive(Debug)]
pub(super) enum Inbox {
    Joined {
        id: ConnectionId,
        hello: Hello,
        outgoing: Outgoing,
    },
    Said(ConnectionId, Vec<(RequestId, Requested)>),
    /// Messages that wait for this connection have room on it now.
    Room(ConnectionId),
    Left(ConnectionId),
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
    looks: Looks,
    second_look: Option<Instant>,
    next_check: Instant,
    /// It is to end, and gives nobody anything more.
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
            looks: Looks::new(),
            second_look: None,
            next_check: Instant::now() + CHECK,
            drain: None,
            closing: None,
            broken: false,
        }
    }

    /// Runs until it is told to close, until its hub and all connections are gone, or until the store is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Inbox>) {
        let mut said = Vec::with_capacity(TURN);
        loop {
            self.consequences();
            if self.broken || self.closing.is_some() {
                break;
            }
            let wakeup = self.wakeup();
            tokio::select! {
                taken = inbox.recv_many(&mut said, TURN) => {
                    if taken == 0 {
                        break;
                    }
                    said.drain(..).for_each(|said| self.handle(said));
                }
                Some(confirmation) = self.commits.next() => {
                    self.broken |= !self.queues.confirm(confirmation, &self.connections);
                }
                Some(look) = self.looks.next() => {
                    let next = self.queues.show(look, &self.connections, &self.writer);
                    self.looks.extend(next);
                }
                Some(found) = self.reads.next() => self.queues.found(found, &self.connections),
                () = sleep_until(wakeup) => self.on_tick(),
            }
            self.drain();
        }
        self.end(inbox).await;
    }

    /// Takes what is through besides.
    fn drain(&mut self) {
        while let Some(Some(confirmation)) = self.commits.next().now_or_never() {
            self.broken |= !self.queues.confirm(confirmation, &self.connections);
        }
        while let Some(Some(found)) = self.reads.next().now_or_never() {
            self.queues.found(found, &self.connections);
        }
    }

    /// Everything that follows from what was changed.
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

    /// When something is to be done though nothing comes in.
    fn wakeup(&mut self) -> Instant {
        let unfinished = self.signals.is_behind() || self.queues.has_unread();
        if unfinished && self.second_look.is_none() {
            self.second_look = Some(Instant::now() + SECOND_LOOK);
        }
        let due = self.queues.next_due();
        let drain = self.drain.as_ref().and_then(Drain::wakeup);
        let times = [self.second_look, due, drain].into_iter().flatten();
        times.fold(self.next_check, Instant::min)
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        if self.next_check <= now {
            self.next_check = now + CHECK;
            self.queues.follow_clock();
        }
        if self.second_look.take_if(|at| *at <= now).is_some() {
            self.signals.catch_up(&self.connections);
            self.queues.want_again();
        }
    }

    fn handle(&mut self, said: Inbox) {
        match said {
            Inbox::Joined {
                id,
                hello,
                outgoing,
            } => {
                let own = hello.process == self.process;
                self.connections.insert(id, Connection { outgoing, own });
            }
            Inbox::Said(connection, requests) => {
                for (request, requested) in requests {
                    let asked = Asked {
                        connection,
                        request,
                        weight: weight(&requested),
                    };
                    self.answer(asked, requested);
                }
            }
            Inbox::Room(id) => self.queues.has_room(id, &self.connections),
            Inbox::Left(id) => self.let_go(id),
            Inbox::Drain(drained) => {
                self.queues.recall(&self.connections);
                self.drain = Some(Drain::begin(drained, self.queues.in_flight()));
            }
            Inbox::Close(done) => self.closing = Some(done),
        }
    }

    fn answer(&mut self, asked: Asked, requested: Requested) {
        let (queues, connections) = (&mut self.queues, &self.connections);
        match requested {
            Requested::Publish { channel, payload } => {
                let receivers = self.signals.publish(&channel, &payload, connections);
                connections.count(asked, receivers);
            }
            Requested::Subscribe { sub, pattern } => self.subscribe(asked, sub, &pattern),
            Requested::Unsubscribe { sub } => self.unsubscribe(asked, sub),
            Requested::Send {
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
                queues.send(asked, arrival, connections);
            }
            Requested::Consume {
                consumer,
                queue,
                prefetch,
            } => queues.consume(asked, (consumer, prefetch), &queue, connections),
            Requested::Cancel {
                consumer,
                give_back,
            } => queues.cancel(asked, consumer, give_back, connections),
            Requested::Settle {
                consumer,
                message,
                settlement,
            } => queues.settle(asked, (consumer, message), settlement, connections),
            Requested::Length { queue } => {
                connections.count(asked, queues.length(&queue));
            }
            Requested::Depth { queue } => connections.depth(asked, queues.counts(&queue)),
            Requested::Declare { queue } => queues.declare(asked, &queue),
            Requested::Lease { key, holder, ttl } => {
                queues.lease(asked, &key, &holder, ttl, connections);
            }
            Requested::Browse(browse) => self.browse(asked, browse),
            Requested::Flush => queues.answer_in_turn(asked),
            Requested::Goodbye => self.say_goodbye(asked),
        }
    }

    fn subscribe(&mut self, asked: Asked, sub: LocalId, pattern: &str) {
        let subscribed = self.signals.subscribe(asked.connection, sub, pattern);
        self.connections.done(asked, subscribed);
    }

    fn unsubscribe(&mut self, asked: Asked, sub: LocalId) {
        self.signals.unsubscribe(asked.connection, sub);
        self.connections.done(asked, Ok(()));
    }

    fn browse(&mut self, asked: Asked, browse: Browse) {
        match browse {
            Browse::Peek { queue, skip, limit } => {
                let look = self.queues.peek(asked, &queue, (skip, limit), &self.writer);
                self.looks.push(look);
            }
            Browse::Requeue { from, to, limit } => {
                let which = Which::First(limit);
                self.queues.requeue(asked, &from, &to, which);
            }
            Browse::Purge { queue, limit } => {
                self.queues.purge(asked, &queue, Which::First(limit));
            }
            Browse::RequeueOne { from, to, message } => {
                self.queues.requeue(asked, &from, &to, Which::One(message));
            }
            Browse::PurgeOne { queue, message } => {
                self.queues.purge(asked, &queue, Which::One(message));
            }
        }
    }

    fn say_goodbye(&mut self, asked: Asked) {
        let own = self.connections.is_own(asked.connection);
        self.signals.remove(asked.connection);
        self.queues.lost(asked.connection, true, own);
        self.queues.answer_in_turn(asked);
    }

    /// A connection ended; after a goodbye nothing is left of it.
    fn let_go(&mut self, id: ConnectionId) {
        self.signals.remove(id);
        self.queues.lost(id, false, self.connections.is_own(id));
        self.connections.remove(id);
    }

    /// Everything is written and answered, everybody is let go, and the store is closed.
    async fn end(mut self, mut inbox: mpsc::Receiver<Inbox>) {
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
        // Who does not read its last answers in time has to do without.
        let _ = timeout(LAST_WORDS, until_gone(&mut inbox, connections)).await;
        let closed = self.writer.close().await;
        match self.closing {
            // Whoever asked may have gone; there is nobody else to tell.
            Some(done) => drop(done.send(closed)),
            None => {
                drop(closed.inspect_err(|error| error!(%error, "the hub ended with its store")));
            }
        }
    }
}

async fn until_gone(inbox: &mut mpsc::Receiver<Inbox>, mut connections: Vec<ConnectionId>) {
    while !connections.is_empty() {
        match inbox.recv().await {
            Some(Inbox::Left(id)) => connections.retain(|connection| *connection != id),
            // Not answered any more: the end of the connection says so.
            Some(_) => {}
            None => return,
        }
    }
}
