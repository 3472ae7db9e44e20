//! The servers of the tests. A RabbitMQ starts in 6 s of processor time, so a test that leaves its server whole leaves it to the
//! next test.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::{Connection, ConnectionProperties, options::QueueDeleteOptions};
use microagent_amqp::{AmqpBroker, AmqpOptions};
use microagent_core::{Error, ErrorKind, Result, driver::lock};
use microagent_testing::{
    RabbitMqServer,
    failure_suite::{FailureServer, NoBus, Program},
};

/// Servers that no test uses. They end with the test program.
static UNUSED: Mutex<Vec<RabbitMqServer>> = Mutex::new(Vec::new());

/// The queues that tests make.
const QUEUES: [&str; 8] = [
    "jobs",
    "jobs.suspects",
    "jobs.dead",
    "jobs.dead.suspects",
    "jobs.retry.1000",
    "jobs.retry.4000",
    "jobs.retry.9000",
    "jobs.retry.60000",
];

/// The seconds between heartbeats: with the default of 10 a stopped process is taken for dead after 30 s.
const HEARTBEAT: u32 = 4;

/// A server for one test, with none of the queues of the tests.
pub(crate) struct RabbitMq {
    server: Option<RabbitMqServer>,
    /// It answers as it did at the start.
    is_whole: AtomicBool,
}

impl RabbitMq {
    pub(crate) async fn take() -> Result<Self> {
        let unused = lock(&UNUSED).pop();
        let server = match unused {
            Some(server) => server,
            None => RabbitMqServer::start().await?,
        };
        delete(&server, &QUEUES).await?;
        Ok(Self {
            server: Some(server),
            is_whole: AtomicBool::new(true),
        })
    }

    pub(crate) fn server(&self) -> &RabbitMqServer {
        self.server.as_ref().unwrap()
    }

    /// Runs `rabbitmqctl`.
    pub(crate) async fn control(&self, arguments: &[&str]) -> String {
        self.server().control(arguments).await.unwrap()
    }

    /// Deletes a queue, as an operator does.
    pub(crate) async fn delete_queue(&self, queue: &str) {
        delete(self.server(), &[queue]).await.unwrap();
    }
}

async fn delete(server: &RabbitMqServer, queues: &[&str]) -> Result<()> {
    let connection = raw(server).await?;
    let failed = |error: lapin::Error| Error::new(ErrorKind::Driver, error.to_string());
    let channel = connection.create_channel().await.map_err(failed)?;
    for queue in queues {
        let deleted = channel.queue_delete((*queue).into(), QueueDeleteOptions::default());
        deleted.await.map_err(failed)?;
    }
    connection.close(200, "done".into()).await.map_err(failed)
}

/// Opens a connection of the client library.
pub(crate) async fn raw(server: &RabbitMqServer) -> Result<Connection> {
    let address = format!("{}%2f", server.dsn());
    Connection::connect(&address, ConnectionProperties::default())
        .await
        .map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        let whole = self.is_whole.load(Ordering::Relaxed) && !std::thread::panicking();
        lock(&UNUSED).extend(self.server.take().filter(|_| whole));
    }
}

impl FailureServer for RabbitMq {
    type Bus = NoBus;
    type Broker = AmqpBroker;

    /// That of line 38: pauses between attempts to connect grow up to 5 s.
    const RETURN: Duration = Duration::from_secs(30);
    const TAKEOVER: Duration = Duration::from_secs(90);

    async fn start(_program: Program) -> Result<Self> {
        Self::take().await
    }

    fn address(&self) -> String {
        format!("{}?heartbeat={HEARTBEAT}", self.server().dsn())
    }

    async fn broker(address: &str) -> Result<AmqpBroker> {
        AmqpBroker::connect(&AmqpOptions::parse(address)?).await
    }

    fn crash(broker: &AmqpBroker) {
        broker.crash();
    }

    async fn kill(&self) -> Result<()> {
        self.is_whole.store(false, Ordering::Relaxed);
        self.server().kill();
        Ok(())
    }

    async fn restart(&self) -> Result<()> {
        self.server().restart().await?;
        self.is_whole.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn cut(&self) -> Result<()> {
        let reason = ["close_all_connections", "a test cuts them"];
        self.server().control(&reason).await.map(drop)
    }

    fn stall(&self) {
        self.is_whole.store(false, Ordering::Relaxed);
        self.server().freeze();
    }

    fn resume(&self) {
        self.server().thaw();
        self.is_whole.store(true, Ordering::Relaxed);
    }
}
