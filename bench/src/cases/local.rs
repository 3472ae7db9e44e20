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
    agents::{BODY, Countdown, Counting, MAILER, Stamping, UserCreated},
    sqlite,
};
use crate::measure::{self, Line, timed};

const COUNT: u32 = 50_000;
const OUTSTANDING: u32 = 256;
const TRIPS: usize = 5_000;

/// Sends with 256 outstanding, each on the disk when it is confirmed.
pub(crate) async fn send(rounds: u32) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let ours = || async {
        let broker = connect(folder.path()).await?;
        let took = timed(send_all(&broker)).await;
        broker.close().await?;
        took
    };
    let raw = || async { sqlite::insert(folder.path(), COUNT, BODY, OUTSTANDING) };
    measure::rates(rounds, COUNT, ours, raw).await
}

/// Messages that wait already: taken, decoded, handled, acknowledged.
pub(crate) async fn consume(rounds: u32) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let ours = || async {
        let broker = connect(folder.path()).await?;
        send_all(&broker).await?;
        let countdown = Countdown::from(COUNT);
        let agent = Counting {
            countdown: countdown.clone(),
        };
        let agent = Agent::new(agent)
            .bus(Bus::connect("memory://").await?)
            .broker(broker.clone());
        let began = Instant::now();
        let agent = agent.start().await?;
        countdown.done().await;
        agent.stop().await?;
        // Closing flushes the last acknowledgements, so it belongs to the work.
        broker.close().await?;
        Ok(began.elapsed())
    };
    let raw = || async {
        sqlite::insert(folder.path(), COUNT, BODY, OUTSTANDING)?;
        sqlite::take_all(folder.path(), OUTSTANDING)
    };
    measure::rates(rounds, COUNT, ours, raw).await
}

/// From `bus.send` to the handler, one at a time.
pub(crate) async fn signal(_rounds: u32) -> Result<Line> {
    let folder = tempfile::tempdir()?;
    let bus = Bus::connect(&format!("local:{}", folder.path().display())).await?;
    let (heard, mut stamps) = mpsc::unbounded_channel();
    let agent = Agent::new(Stamping { heard })
        .bus(bus.clone())
        .start()
        .await?;
    let mut ours = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let began = Instant::now();
        bus.send("bench", UserCreated::sample()).await?;
        let Some(stamp) = stamps.recv().await else {
            break;
        };
        ours.push(stamp.duration_since(began));
    }
    agent.stop().await?;
    bus.close().await?;
    Ok(measure::latencies(ours, socket_trips().await?))
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
async fn socket_trips() -> Result<Vec<Duration>> {
    let (mut near, mut far) = UnixStream::pair()?;
    let (heard, mut stamps) = mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        let mut body = [0; BODY.len()];
        while far.read_exact(&mut body).await.is_ok() {
            let _ = heard.send(Instant::now());
        }
    });
    let mut trips = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let began = Instant::now();
        near.write_all(BODY.as_bytes()).await?;
        let Some(stamp) = stamps.recv().await else {
            break;
        };
        trips.push(stamp.duration_since(began));
    }
    drop(near);
    // It ends with the socket.
    let _ = reader.await;
    Ok(trips)
}
