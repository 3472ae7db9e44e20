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
    agents::{BODY, MAILER, Stamping, UserCreated},
    ours, sqlite,
};
use crate::measure::{self, Line, timed};

const COUNT: u32 = 50_000;
const OUTSTANDING: u32 = 256;
const TRIPS: u32 = 5_000;

/// Sends with 256 outstanding, each on the disk when it is confirmed.
pub(crate) async fn send(rounds: u32) -> Result<Line> {
    let parent = tempfile::tempdir()?;
    // A new one for each round, which would have the backlog of those before otherwise.
    let folder = || tempfile::tempdir_in(parent.path());
    let ours = || async {
        let folder = folder()?;
        let broker = connect(folder.path()).await?;
        let took = timed(send_all(&broker)).await;
        broker.close().await?;
        took
    };
    let raw = || async { sqlite::insert(folder()?.path(), COUNT, BODY, OUTSTANDING) };
    measure::rates(rounds, COUNT, ours, raw).await
}

/// Messages that wait already: taken, decoded, handled, acknowledged.
pub(crate) async fn consume(rounds: u32) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let consume = || async {
        let broker = connect(folder.path()).await?;
        send_all(&broker).await?;
        ours::consume(broker, COUNT).await
    };
    let raw = || async {
        sqlite::insert(folder.path(), COUNT, BODY, OUTSTANDING)?;
        sqlite::take_all(folder.path(), OUTSTANDING)
    };
    measure::rates(rounds, COUNT, consume, raw).await
}

/// From `bus.send` to the handler, one at a time.
pub(crate) async fn signal(rounds: u32) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let bus = Bus::connect(&format!("local:{}", folder.path().display())).await?;
    let (heard, mut stamps) = mpsc::unbounded_channel();
    let agent = Agent::new(Stamping { heard })
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
    let line = measure::latencies(rounds, TRIPS, ours, raw).await?;
    agent.stop().await?;
    bus.close().await?;
    Ok(line)
}

async fn connect(folder: &Path) -> Result<Broker> {
    let broker = Broker::connect(&format!("local:{}", folder.display())).await?;
    broker.ready().await?;
    Ok(broker)
}

/// Sends from so many tasks, one at a time each.
async fn send_all(broker: &Broker) -> Result<()> {
    let mut tasks = JoinSet::new();
    for task in 0..OUTSTANDING {
        let (broker, to) = (broker.clone(), MAILER.into());
        let share = COUNT / OUTSTANDING + u32::from(task < COUNT % OUTSTANDING);
        tasks.spawn(async move {
            for _ in 0..share {
                let body = Bytes::from_static(BODY.as_bytes());
                broker.driver().send(&to, body, Default::default()).await?;
            }
            Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// The same bytes from one task to another over a pair of Unix sockets.
struct SocketPair {
    near: UnixStream,
    stamps: mpsc::UnboundedReceiver<Instant>,
}

impl SocketPair {
    /// The reading task ends with the near socket.
    fn open() -> Result<Self> {
        let (near, mut far) = UnixStream::pair()?;
        let (heard, stamps) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut body = [0; BODY.len()];
            while far.read_exact(&mut body).await.is_ok() {
                // Whoever measured has gone: nothing to tell.
                let _ = heard.send(Instant::now());
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
