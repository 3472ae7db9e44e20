//! The fixture of all tests: a server, drivers connected to it, and a connection that observes it.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    Broker, Bus, ConsumeOptions, Delivery, QueueBroker, Result, Route, SendOptions,
};
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_testing::RedisServer;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};

use crate::proxy::Proxy;
pub(crate) use microagent_testing::failure_suite::{
    jobs::{DEAD, JOBS, PATIENCE},
    kind_of, until, within,
};

/// Short, so that the tests are: with the default of 10 s everything takes five times as long.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// The time that recovery may take: a lease and two sweeps, and as much again for a busy machine.
pub(crate) const RECOVERY: Duration = Duration::from_secs(15);

/// A server, and a look at it.
pub(crate) struct Bench {
    pub(crate) server: RedisServer,
    pub(crate) look: MultiplexedConnection,
}

/// Starts a server of the test's own.
pub(crate) async fn bench() -> Bench {
    bench_with(&[]).await
}

pub(crate) async fn bench_with(arguments: &[&str]) -> Bench {
    log();
    let server = RedisServer::start_with(arguments).await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    let look = look_at(&server).await;
    Bench { server, look }
}

async fn look_at(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(server.dsn()).unwrap();
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let look = client.get_multiplexed_async_connection_with_config(&config);
    look.await.expect("a connection to look with")
}

impl Bench {
    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions::parse(&self.server.dsn()).unwrap()
    }

    /// A broker with the short lease.
    pub(crate) async fn driver(&self) -> RedisBroker {
        let broker = RedisBroker::connect_with_lease(&self.options(), LEASE).await;
        broker.expect("a broker")
    }

    pub(crate) async fn broker(&self) -> Broker {
        Broker::new(Arc::new(self.driver().await))
    }

    pub(crate) async fn bus_driver(&self) -> RedisBus {
        RedisBus::connect(&self.options()).await.expect("a bus")
    }

    pub(crate) async fn bus(&self) -> Bus {
        Bus::new(Arc::new(self.bus_driver().await))
    }

    /// Kills the server, and starts it again after this long.
    pub(crate) async fn outage(&mut self, lasts: Duration) {
        self.server.kill();
        tokio::time::sleep(lasts).await;
        self.server.restart().await.expect("a server again");
        self.reconnect().await;
    }

    /// Looks over another connection, for whoever has cut all.
    pub(crate) async fn reconnect(&mut self) {
        self.look = look_at(&self.server).await;
    }

    pub(crate) async fn set(&mut self, setting: &str, value: &str) {
        let mut set = redis::cmd("CONFIG");
        let set = set.arg("SET").arg(setting).arg(value);
        let () = set.query_async(&mut self.look).await.unwrap();
    }

    /// A broker with the short lease whose connections lead over a proxy.
    pub(crate) async fn driver_over(&self, proxy: &Proxy) -> RedisBroker {
        let options = RedisOptions::parse(&proxy.dsn()).unwrap();
        let broker = RedisBroker::connect_with_lease(&options, LEASE).await;
        broker.expect("a broker")
    }

    /// Puts these jobs into the queue as any producer does.
    pub(crate) async fn push(&mut self, jobs: impl IntoIterator<Item = Value>) {
        let jobs: Vec<String> = jobs.into_iter().map(|job| job.to_string()).collect();
        for jobs in jobs.chunks(1000) {
            let () = self.look.rpush("jobs", jobs).await.unwrap();
        }
    }

    pub(crate) async fn length(&mut self, list: &str) -> usize {
        self.look.llen(list).await.unwrap()
    }

    /// Returns how often each job was handled to its end.
    pub(crate) async fn handled(&mut self) -> BTreeMap<u64, u32> {
        self.look.hgetall("handled").await.unwrap()
    }

    /// The jobs whose handling has begun, in this order.
    pub(crate) async fn started(&mut self) -> Vec<u64> {
        self.look.lrange("started", 0, -1).await.unwrap()
    }

    pub(crate) async fn wait_for_started(&mut self, jobs: usize) {
        let mut look = self.look.clone();
        until("jobs to be started", RECOVERY, async || {
            look.llen::<_, usize>("started").await.unwrap() >= jobs
        })
        .await;
    }

    /// Waits until this many jobs were handled to their end.
    pub(crate) async fn wait_for_handled(&mut self, jobs: usize, at_most: Duration) {
        let mut look = self.look.clone();
        until("jobs to be handled", at_most, async || {
            look.hlen::<_, usize>("handled").await.unwrap() >= jobs
        })
        .await;
    }

    /// Nothing of the queue is left anywhere: not in it, not in flight, not aside.
    pub(crate) async fn assert_nothing_is_left(&mut self) {
        let mut look = self.look.clone();
        until("the queue to be empty", RECOVERY, async || {
            let mut keys: Vec<String> = look.keys("{jobs}:*").await.unwrap();
            keys.retain(|key| !key.ends_with(":ids") && !key.ends_with(":leases"));
            keys.is_empty() && look.llen::<_, usize>("jobs").await.unwrap() == 0
        })
        .await;
    }

    /// The headers of the only dead letter.
    pub(crate) async fn dead_letter(&self) -> BTreeMap<String, String> {
        let broker = self.driver().await;
        let mut dead = broker
            .consume(&DEAD, ConsumeOptions::default())
            .await
            .unwrap();
        let letter = tokio::time::timeout(RECOVERY, dead.next()).await;
        let letter = letter.expect("a dead letter").unwrap();
        let headers = letter.message().headers();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = headers.collect();
        letter.ack().await.unwrap();
        headers
    }
}

/// The log of a test is shown when it fails.
pub(crate) fn log() {
    let log = tracing_subscriber::fmt().with_test_writer();
    // Another test of the process may have done it.
    let _ = log.with_max_level(tracing::Level::INFO).try_init();
}

/// The log of a test of one thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Records until the guard is dropped.
    pub(crate) fn record(&self) -> tracing::subscriber::DefaultGuard {
        // Without a global subscriber, an event that another thread reaches first can stay off for all threads.
        crate::bench::log();
        let log = self.clone();
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(log.finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The queue's messages, at most so many at a time.
pub(crate) async fn consume(broker: &RedisBroker, prefetch: usize) -> BoxStream<'static, Delivery> {
    let options = ConsumeOptions::with_prefetch(prefetch);
    broker.consume(&JOBS, options).await.unwrap()
}

/// The stream's next message, which must come.
pub(crate) async fn next(jobs: &mut BoxStream<'static, Delivery>) -> Delivery {
    within(RECOVERY, "a job", jobs.next()).await.unwrap()
}

/// The number of a job.
pub(crate) fn number_of(delivery: &Delivery) -> u64 {
    let job: Value = serde_json::from_slice(delivery.message().payload()).unwrap();
    job["n"].as_u64().unwrap()
}

/// A job that is counted and does nothing else.
pub(crate) fn job(n: u64) -> Value {
    json!({ "n": n })
}

/// A job that takes this long.
pub(crate) fn slow_job(n: u64, takes: Duration) -> Value {
    json!({ "n": n, "ms": takes.as_millis() as u64 })
}

/// Sends a job.
pub(crate) async fn send(broker: &RedisBroker, job: Value) -> Result<()> {
    let (to, options) = (Route::from(JOBS), SendOptions::default());
    broker.send(&to, job.to_string().into(), options).await
}
