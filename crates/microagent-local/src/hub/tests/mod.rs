//! The hub over in-memory streams and an in-memory store, in virtual time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use microagent_core::{Error, ErrorKind, Result};
use tokio::{
    io::{DuplexStream, ReadHalf, WriteHalf, duplex, split},
    time::timeout,
};
use tokio_util::codec::FramedRead;

use self::clock::SetClocks;
use super::Hub;
use crate::{
    protocol::{
        Browse, ClientCodec, ClientFrame, Failure, Hello, HubFrame, LocalId, QueueCounts, Request,
        RequestId, SendBuffer, Token, VERSION, WireMessage, WireSettlement,
    },
    store::{Body, Change, Headers, MemoryStore, MessageId, Snapshot, Store, Writer},
};

mod browse;
mod clock;
mod death;
mod drain;
mod flood;
mod greeting;
mod once;
mod queues;
mod signals;
mod sizes;
mod storage;

/// The process that hosts the hub, and another.
const HOST: Token = 1;
const OTHER: Token = 2;

/// A store that outlives its hub, and fails when it is told to.
#[derive(Clone, Default)]
struct SharedStore {
    store: Arc<Mutex<MemoryStore>>,
    full: Arc<AtomicBool>,
    /// The number of bodies that were read.
    read: Arc<AtomicUsize>,
    clocks: Arc<SetClocks>,
}

impl SharedStore {
    fn hub(&self) -> Hub {
        let snapshot = self.snapshot();
        Hub::start(
            Writer::inline(self.clone()),
            snapshot,
            HOST,
            self.clocks.clone(),
        )
    }

    fn snapshot(&self) -> Snapshot {
        self.store.lock().unwrap().load().unwrap()
    }

    fn fill(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }
}

impl Store for SharedStore {
    fn load(&mut self) -> Result<Snapshot> {
        self.store.lock().unwrap().load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Driver, "the disk is full"));
        }
        self.store.lock().unwrap().commit(changes)
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Driver, "the disk is away"));
        }
        self.read.fetch_add(ids.len(), Ordering::Relaxed);
        self.store.lock().unwrap().bodies(ids)
    }
}

/// A process, by hand.
struct Peer {
    reader: FramedRead<ReadHalf<DuplexStream>, ClientCodec>,
    writer: SendBuffer<WriteHalf<DuplexStream>, ClientCodec>,
    last_request: RequestId,
    /// The frames that arrived while the client waited for an answer.
    kept: VecDeque<HubFrame>,
}

/// A delivery, for comparisons.
#[derive(Debug, PartialEq)]
struct Received {
    consumer: LocalId,
    id: MessageId,
    attempt: u32,
    crashes: u32,
    payload: String,
    headers: Headers,
}

impl Peer {
    async fn join(hub: &Hub, process: Token) -> Self {
        let mut peer = Self::open(hub);
        peer.greet(VERSION, process).await;
        assert_eq!(peer.next().await, HubFrame::Welcome { version: VERSION });
        peer
    }

    fn open(hub: &Hub) -> Self {
        let (ours, theirs) = duplex(4096);
        hub.attach(theirs, None);
        let (reader, writer) = split(ours);
        Self {
            reader: FramedRead::new(reader, ClientCodec),
            writer: SendBuffer::new(writer, ClientCodec),
            last_request: 0,
            kept: VecDeque::new(),
        }
    }

    async fn greet(&mut self, version: u16, process: Token) {
        let hello = Hello {
            version,
            process,
            pid: 7,
        };
        self.say(ClientFrame::Hello(hello)).await;
    }

    async fn say(&mut self, frame: ClientFrame) {
        self.writer.put(&frame).unwrap();
        self.writer.flush().await.unwrap();
    }

    /// The next frame; an hour of virtual time without one is a failure.
    async fn next(&mut self) -> HubFrame {
        self.try_next().await.expect("the hub is silent or gone")
    }

    async fn try_next(&mut self) -> Option<HubFrame> {
        match self.kept.pop_front() {
            Some(frame) => Some(frame),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Option<HubFrame> {
        let next = timeout(Duration::from_secs(3600), self.reader.next()).await;
        next.ok()?.map(Result::unwrap)
    }

    async fn ask(&mut self, request: Request) -> RequestId {
        self.last_request += 1;
        let id = self.last_request;
        self.say(ClientFrame::Request(id, request)).await;
        id
    }

    async fn done(&mut self, request: Request) -> Result<(), Failure> {
        let asked = self.ask(request).await;
        loop {
            match self.read().await.expect("the hub is silent or gone") {
                HubFrame::Done(id, result) if id == asked => return result,
                HubFrame::AllDone(first, last) if (first..=last).contains(&asked) => return Ok(()),
                other => self.kept.push_back(other),
            }
        }
    }

    async fn count(&mut self, request: Request) -> u64 {
        let asked = self.ask(request).await;
        loop {
            match self.read().await.expect("the hub is silent or gone") {
                HubFrame::Count(id, count) if id == asked => return count,
                other => self.kept.push_back(other),
            }
        }
    }

    /// Claims a lease. Returns for how long another holder has it.
    async fn lease(&mut self, request: Request) -> Option<Duration> {
        let asked = self.ask(request).await;
        loop {
            match self.read().await.expect("the hub is silent or gone") {
                HubFrame::Lease(id, left) if id == asked => return left,
                other => self.kept.push_back(other),
            }
        }
    }

    async fn send(&mut self, queue: &str, payload: &str) {
        self.done(send(queue, payload, None)).await.unwrap();
    }

    async fn length(&mut self, queue: &str) -> u64 {
        let queue = queue.into();
        self.count(Request::Length { queue }).await
    }

    async fn consume(&mut self, consumer: LocalId, queue: &str, prefetch: u32) {
        let queue = queue.into();
        let request = Request::Consume {
            consumer,
            queue,
            prefetch,
        };
        self.done(request).await.unwrap();
    }

    async fn delivery(&mut self) -> Received {
        match self.next().await {
            HubFrame::Delivery { consumer, message } => Received {
                consumer,
                id: message.id,
                attempt: message.attempt,
                crashes: message.crashes,
                payload: text_of(&message),
                headers: message.headers,
            },
            other => panic!("expected a delivery, got {other:?}"),
        }
    }

    async fn payloads(&mut self, count: usize) -> Vec<String> {
        let mut payloads = Vec::new();
        for _ in 0..count {
            payloads.push(self.delivery().await.payload);
        }
        payloads
    }

    async fn settle(
        &mut self,
        received: &Received,
        settlement: WireSettlement,
    ) -> Result<(), Failure> {
        self.done(settle(received, settlement)).await
    }

    /// Nothing comes for this long.
    async fn hears_nothing_for(&mut self, seconds: u64) {
        assert_eq!(self.kept, []);
        let next = timeout(Duration::from_secs(seconds), self.reader.next()).await;
        assert!(next.is_err(), "unexpected: {next:?}");
    }
}

fn text_of(message: &WireMessage) -> String {
    String::from_utf8(message.payload.to_vec()).unwrap()
}

fn send(queue: &str, payload: &str, delay: Option<u64>) -> Request {
    Request::Send {
        queue: queue.into(),
        payload: payload.to_owned().into(),
        headers: Headers::new(),
        delay: delay.map(Duration::from_secs),
    }
}

fn settle(received: &Received, settlement: WireSettlement) -> Request {
    Request::Settle {
        consumer: received.consumer,
        message: received.id,
        settlement,
    }
}

fn cancel(consumer: LocalId, give_back: bool) -> Request {
    Request::Cancel {
        consumer,
        give_back,
    }
}

async fn hub() -> Hub {
    SharedStore::default().hub()
}
