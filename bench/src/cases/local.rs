//! `local:`: the embedded default, durable and over a socket.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use microagent::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
    task::JoinSet,
};

use super::{
    agents::{BODY, LARGE_BODY, MAILER, Stamping, UserCreated},
    ours, processes, sqlite,
    worker::Work,
};
use crate::measure::{self, Line, Plan, timed};

const COUNT: u32 = 50_000;
const LARGE: u32 = 10_000;
/// The number of sends that are not confirmed yet, and of rows in a transaction.
pub(super) const OUTSTANDING: u32 = 256;
const TRIPS: u32 = 5_000;

/// Sends with 256 outstanding, each on the disk when it is confirmed.
pub(crate) async fn send(plan: Plan) -> Result<Line> {
    let parent = tempfile::tempdir()?;
    // A new folder for each round, which would contain the backlog of earlier rounds otherwise.
    let folder = || tempfile::tempdir_in(parent.path());
    let ours = || async {
        let folder = folder()?;
        let broker = connect(folder.path()).await?;
        let cost = timed(send_all(&broker, COUNT, BODY)).await;
        broker.close().await?;
        cost
    };
    let raw = || async { sqlite::insert(folder()?.path(), COUNT, BODY, OUTSTANDING) };
    measure::rates(plan, COUNT, ours, raw).await
}

/// Messages that wait already: receive, decode, handle, acknowledge.
pub(crate) async fn consume(plan: Plan) -> Result<Line> {
    consume_bodies(plan, COUNT, BODY).await
}

/// The same with bodies of 16 KiB.
pub(crate) async fn consume_large(plan: Plan) -> Result<Line> {
    consume_bodies(plan, LARGE, &LARGE_BODY).await
}

async fn consume_bodies(plan: Plan, count: u32, body: &'static str) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let consume = || async {
        let broker = connect(folder.path()).await?;
        send_all(&broker, count, body).await?;
        ours::consume(broker, count).await
    };
    let raw = || async {
        sqlite::insert(folder.path(), count, body, OUTSTANDING)?;
        sqlite::take_all(folder.path(), OUTSTANDING, |_| {})
    };
    measure::rates(plan, count, consume, raw).await
}

/// Messages that wait already, for consumers in this many processes. The hub is in the process that sent them.
pub(crate) async fn consume_in_processes(plan: Plan, processes: u32) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let target = dsn(folder.path());
    let ours = || async {
        let broker = connect(folder.path()).await?;
        send_all(&broker, COUNT, BODY).await?;
        let cost = processes::consume(Work::Agent, &target, processes, COUNT).await;
        broker.close().await?;
        cost
    };
    let raw = || async {
        sqlite::insert(folder.path(), COUNT, BODY, OUTSTANDING)?;
        let target = folder.path().display().to_string();
        processes::consume(Work::Sqlite, &target, processes, COUNT).await
    };
    measure::rates(plan, COUNT, ours, raw).await
}

/// From `bus.send` to the handler, one at a time.
pub(crate) async fn signal(plan: Plan) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let bus = Bus::connect(&dsn(folder.path())).await?;
    let (stamped, mut stamps) = mpsc::unbounded_channel();
    let agent = Agent::new(Stamping { stamps: stamped })
        .bus(bus.clone())
        .start()
        .await?;
    let mut socket = SocketPair::open()?;
    let ours = async || {
        let began = Instant::now();
        bus.send("bench", UserCreated::sample()).await?;
        let stamp: Instant = stamps.recv().await.ok_or("the agent has ended")?;
        Ok(stamp.duration_since(began))
    };
    let raw = async || socket.trip().await;
    let line = measure::latencies(plan, TRIPS, ours, raw).await?;
    agent.stop().await?;
    bus.close().await?;
    Ok(line)
}

fn dsn(folder: &Path) -> String {
    format!("local:{}", folder.display())
}

async fn connect(folder: &Path) -> Result<Broker> {
    let broker = Broker::connect(&dsn(folder)).await?;
    broker.ready().await?;
    Ok(broker)
}

/// Sends from 256 tasks, one at a time each.
async fn send_all(broker: &Broker, count: u32, body: &'static str) -> Result<()> {
    let mut tasks = JoinSet::new();
    for task in 0..OUTSTANDING {
        let (broker, to) = (broker.clone(), MAILER.into());
        let share = count / OUTSTANDING + u32::from(task < count % OUTSTANDING);
        tasks.spawn(async move {
            for _ in 0..share {
                let body = Bytes::from_static(body.as_bytes());
                broker.driver().send(&to, body, Default::default()).await?;
            }
            Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Sends the same bytes from one task to another over a pair of Unix sockets.
struct SocketPair {
    near: UnixStream,
    stamps: mpsc::UnboundedReceiver<Instant>,
}

impl SocketPair {
    /// Opens the pair. The reading task ends with the near socket.
    fn open() -> Result<Self> {
        let (near, mut far) = UnixStream::pair()?;
        let (stamped, stamps) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut body = [0; BODY.len()];
            while far.read_exact(&mut body).await.is_ok() {
                // The case may have ended.
                let _ = stamped.send(Instant::now());
            }
        });
        Ok(Self { near, stamps })
    }

    async fn trip(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.near.write_all(BODY.as_bytes()).await?;
        let stamp = self.stamps.recv().await.ok_or("the reader has ended")?;
        Ok(stamp.duration_since(began))
    }
}
