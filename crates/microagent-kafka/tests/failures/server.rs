//! The servers of the tests. A Kafka starts in 4 s of processor time, so a test that leaves its server whole leaves it to the next
//! test.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use microagent_core::{Error, ErrorKind, Result, driver::lock};
use microagent_kafka::KafkaBroker;
use microagent_testing::{
    KafkaServer,
    failure_suite::{FailureServer, NoBus, Program},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::{runtime::Handle, time::sleep};

use crate::{
    agents,
    bench::PATIENCE,
    support::{connect, cut},
};

/// Servers that no test uses. They end with the test program.
static UNUSED: Mutex<Vec<KafkaServer>> = Mutex::new(Vec::new());

/// The topics that tests make.
const TOPICS: [&str; 2] = ["jobs", "jobs.dead"];

/// A server for one test, with none of the topics of the tests, and a group of its own.
pub(crate) struct Kafka {
    server: Option<KafkaServer>,
    /// It answers as it did at the start.
    is_whole: AtomicBool,
    group: u32,
}

impl Kafka {
    pub(crate) async fn take() -> Result<Self> {
        static GROUPS: AtomicU32 = AtomicU32::new(0);
        let unused = lock(&UNUSED).pop();
        let server = match unused {
            Some(server) => server,
            None => KafkaServer::start().await?,
        };
        delete_topics(&server).await?;
        Ok(Self {
            server: Some(server),
            is_whole: AtomicBool::new(true),
            group: GROUPS.fetch_add(1, Ordering::Relaxed),
        })
    }

    pub(crate) fn server(&self) -> &KafkaServer {
        self.server.as_ref().unwrap()
    }

    /// Returns the group of the consumers of `jobs`.
    pub(crate) fn group(&self) -> String {
        format!("test{}.jobs", self.group)
    }

    /// Returns the options of a client of the library.
    pub(crate) fn client(&self) -> ClientConfig {
        client(self.server())
    }
}

fn client(server: &KafkaServer) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server.address());
    config
}

async fn delete_topics(server: &KafkaServer) -> Result<()> {
    let failed = |error: KafkaError| Error::new(ErrorKind::Driver, error.to_string());
    let admin: AdminClient<DefaultClientContext> = client(server).create().map_err(failed)?;
    let limits = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let deleted = admin
        .delete_topics(&TOPICS, &limits)
        .await
        .map_err(failed)?;
    for result in deleted {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => {
                return Err(Error::new(ErrorKind::Driver, format!("{topic}: {code}")));
            }
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while has_topics(&admin).map_err(failed)? {
        if Instant::now() > deadline {
            return Err(Error::new(ErrorKind::Timeout, "the topics are not gone"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn has_topics(admin: &AdminClient<DefaultClientContext>) -> std::result::Result<bool, KafkaError> {
    let metadata = admin.inner().fetch_metadata(None, PATIENCE)?;
    let mut topics = metadata.topics().iter();
    Ok(topics.any(|topic| TOPICS.contains(&topic.name())))
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let whole = self.is_whole.load(Ordering::Relaxed) && !std::thread::panicking();
        lock(&UNUSED).extend(self.server.take().filter(|_| whole));
    }
}

impl FailureServer for Kafka {
    type Bus = NoBus;
    type Broker = KafkaBroker;

    /// The group notices a dead member after its session of 8 s.
    const TAKEOVER: Duration = Duration::from_secs(60);
    const RETURN: Duration = Duration::from_secs(90);

    async fn start(_program: Program) -> Result<Self> {
        Self::take().await
    }

    fn address(&self) -> String {
        format!("{}?group=test{}", self.server().dsn(), self.group)
    }

    async fn broker(address: &str) -> Result<KafkaBroker> {
        connect(address).await
    }

    fn crash(broker: &KafkaBroker) {
        tokio::task::block_in_place(|| Handle::current().block_on(broker.crash()));
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
        Ok(cut(&self.server().address())?)
    }

    fn stall(&self) {
        self.is_whole.store(false, Ordering::Relaxed);
        self.server().freeze();
    }

    fn resume(&self) {
        self.server().thaw();
        self.is_whole.store(true, Ordering::Relaxed);
    }

    async fn play(part: &str, address: &str) -> Result<()> {
        agents::play(part, address).await
    }
}
