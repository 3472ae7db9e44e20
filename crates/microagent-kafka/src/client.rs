//! The producer and the administration of topics.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::Builder,
    time::Duration,
};

use microagent_core::{DeclareOptions, Error, ErrorKind, Result, driver::lock};
use rdkafka::{
    ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use crate::{
    KafkaOptions,
    connection::Link,
    context::{self, Quiet},
    error::{error_of, error_of_right, kind_of, no_thread, unavailable},
    message::headers_of,
};

/// The pause between two looks at a new topic.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

struct Confirming(Arc<Link>);

impl ClientContext for Confirming {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::report(&error, reason);
        self.0.report(&error, reason);
    }
}

impl ProducerContext for Confirming {
    type DeliveryOpaque = Box<oneshot::Sender<KafkaResult<()>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, confirmed: Self::DeliveryOpaque) {
        let result = result
            .as_ref()
            .map(drop)
            .map_err(|(error, _)| error.clone());
        // The sender may have stopped waiting.
        let _ = confirmed.send(result);
    }
}

/// A message to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) id: Option<&'a str>,
    pub(crate) headers: &'a [(String, String)],
    /// Headers that are not text.
    pub(crate) raw_headers: &'a [(String, Option<Vec<u8>>)],
    pub(crate) body: &'a [u8],
}

/// The clients of one broker that send and administrate.
pub(crate) struct Client {
    options: KafkaOptions,
    link: Arc<Link>,
    producer: Mutex<Arc<ThreadedProducer<Confirming>>>,
    admin: AdminClient<Quiet>,
    /// The topics that are known to exist.
    known: Mutex<HashSet<String>>,
}

impl Client {
    pub(crate) fn new(options: &KafkaOptions, link: Arc<Link>) -> Result<Self> {
        let producer = new_producer(options, &link)?;
        let admin = AdminClient::from_config_and_context(&options.admin(), Quiet);
        Ok(Self {
            options: options.clone(),
            link,
            producer: Mutex::new(Arc::new(producer)),
            admin: admin.map_err(|error| error_of(&error))?,
            known: Mutex::default(),
        })
    }

    /// Returns the number of partitions of a topic, 0 if it does not exist. It blocks.
    pub(crate) fn partitions_of(&self, topic: &str) -> Result<i32> {
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(Some(topic), self.options.timeout);
        let metadata = metadata.map_err(|error| error_of_right(&error, topic, "DESCRIBE"))?;
        let Some(found) = metadata
            .topics()
            .first()
            .filter(|found| found.name() == topic)
        else {
            return Ok(0);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Ok(0),
            Some(code) => {
                let error = KafkaError::MetadataFetch(code);
                return Err(error_of_right(&error, topic, "DESCRIBE"));
            }
        }
        let led = found
            .partitions()
            .iter()
            .all(|partition| partition.leader() >= 0);
        if !led {
            return Err(unavailable(format!("the topic `{topic}` has no leader")));
        }
        i32::try_from(found.partitions().len()).map_err(|_| unavailable("too many partitions"))
    }

    /// Sends a message; it is stored when this returns.
    pub(crate) async fn send(self: &Arc<Self>, message: &Outgoing<'_>) -> Result<()> {
        let topic = message.topic;
        self.link.check(&self.options.address())?;
        if !lock(&self.known).contains(topic) && !self.exists(topic).await? {
            return Err(unroutable(topic));
        }
        let deadline = Instant::now() + self.options.timeout;
        loop {
            match self.try_to_send(message).await {
                Err(error) if error.kind() == ErrorKind::Unroutable => {}
                sent => return sent,
            }
            // It was deleted, or the producer has an old answer: it asks for itself, and gives up early.
            lock(&self.known).remove(topic);
            if !self.exists(topic).await? {
                return Err(unroutable(topic));
            }
            if Instant::now() > deadline {
                let text = format!("the client did not find queue `{topic}` in time");
                return Err(unavailable(text));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn exists(self: &Arc<Self>, topic: &str) -> Result<bool> {
        let (client, name) = (Arc::clone(self), topic.to_owned());
        let asking = blocking(move || client.partitions_of(&name));
        let count = self.link.request(&self.options.address(), asking).await?;
        if count > 0 {
            lock(&self.known).insert(topic.to_owned());
        }
        Ok(count > 0)
    }

    async fn try_to_send(&self, message: &Outgoing<'_>) -> Result<()> {
        let (confirmed, confirmation) = oneshot::channel();
        let record = BaseRecord::with_opaque_to(message.topic, Box::new(confirmed));
        let mut record: BaseRecord<'_, [u8], [u8], _> = record.payload(message.body);
        if let Some(key) = message.key {
            record = record.key(key);
        }
        record.headers = headers_of(message);
        let producer = self.producer()?;
        if let Err((error, _)) = producer.send(record) {
            return Err(not_sent(&producer, &error, message.topic));
        }
        let Ok(result) = confirmation.await else {
            return Err(unavailable("the producer was closed"));
        };
        result.map_err(|error| {
            let error = not_sent(&producer, &error, message.topic);
            if error.kind() != ErrorKind::Unavailable {
                return error;
            }
            let error = self.link.explain(error, &self.options.address());
            let text = format!("{error}; the message may or may not have been sent");
            Error::new(error.kind(), text)
        })
    }

    /// Returns the producer. One that the client has given up, such as after the server has refused it its number, is replaced: it
    /// would never send again.
    fn producer(&self) -> Result<Arc<ThreadedProducer<Confirming>>> {
        let mut producer = lock(&self.producer);
        if producer.client().fatal_error().is_some() {
            let new = new_producer(&self.options, &self.link)?;
            let old = std::mem::replace(&mut *producer, Arc::new(new));
            // Its end takes a moment.
            tokio::task::spawn_blocking(move || drop(old));
        }
        Ok(Arc::clone(&producer))
    }

    /// Creates a topic if it does not exist, and waits until it can be used.
    pub(crate) async fn declare(
        self: &Arc<Self>,
        topic: &str,
        options: &DeclareOptions,
    ) -> Result<()> {
        let number = |name: &str, default: Option<i32>| match options.native.get(name) {
            None => Ok(default.unwrap_or(-1)),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| {
                    let text = format!("invalid `{name}` `{text}`: expected a number from 1 on");
                    Error::new(ErrorKind::Configuration, text)
                }),
        };
        for name in options.native.keys() {
            if !matches!(name.as_str(), "partitions" | "replication") {
                let text = format!(
                    "`{name}` is not supported by `kafka` (available: `partitions`, `replication`)"
                );
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
        }
        let partitions = number("partitions", self.options.partitions)?;
        let replication = number("replication", self.options.replication)?;
        if lock(&self.known).contains(topic) || self.exists(topic).await? {
            return Ok(());
        }
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
        let limits = AdminOptions::new()
            .request_timeout(Some(self.options.timeout))
            .operation_timeout(Some(self.options.timeout));
        let created = self.admin.create_topics([&new], &limits).await;
        for result in created.map_err(|error| error_of_right(&error, topic, "CREATE"))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    let error = KafkaError::AdminOp(code);
                    return Err(error_of_right(&error, topic, "CREATE"));
                }
            }
        }
        self.wait_for(topic).await
    }

    async fn wait_for(self: &Arc<Self>, topic: &str) -> Result<()> {
        let deadline = Instant::now() + self.options.timeout;
        loop {
            if matches!(self.exists(topic).await, Ok(true)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(unavailable(format!(
                    "the queue `{topic}` was not created in time"
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks the server for its brokers. It blocks.
    pub(crate) fn reach(&self) -> Result<()> {
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(Some("microagent"), self.options.timeout);
        metadata.map(drop).map_err(|error| error_of(&error))
    }

    /// Waits until what was handed over is sent or has failed. It blocks.
    pub(crate) fn flush(&self) {
        let producer = Arc::clone(&lock(&self.producer));
        // Each message has its own answer.
        let _ = producer.flush(self.options.timeout);
    }
}

fn new_producer(options: &KafkaOptions, link: &Arc<Link>) -> Result<ThreadedProducer<Confirming>> {
    let context = Confirming(Arc::clone(link));
    let producer = ThreadedProducer::from_config_and_context(&options.producer(), context);
    producer.map_err(|error| error_of(&error))
}

/// Returns the error of a message that was not stored. If the client has given up the producer, it says only there why.
fn not_sent(producer: &ThreadedProducer<Confirming>, error: &KafkaError, topic: &str) -> Error {
    match producer.client().fatal_error() {
        // An idempotent producer gets its number if it may write to any topic.
        Some((RDKafkaErrorCode::ClusterAuthorizationFailed, text)) => Error::new(
            ErrorKind::Refused,
            format!("missing right `WRITE` on the topic of queue `{topic}`: kafka: {text}"),
        ),
        Some((code, text)) => Error::new(kind_of(code), format!("kafka: {text}")),
        None => error_of_right(error, topic, "WRITE"),
    }
}

fn unroutable(topic: &str) -> Error {
    let text = format!("queue `{topic}` does not exist: declare it, or start its consumer first");
    Error::new(ErrorKind::Unroutable, text)
}

/// Runs a function of the client that blocks, on a thread of its own: the end of the runtime does not wait for it.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    let asking = move || {
        let _context = runtime.enter();
        // The caller may have stopped waiting.
        let _ = done.send(run());
    };
    let thread = Builder::new()
        .name("kafka request".to_owned())
        .spawn(asking);
    thread.map_err(no_thread)?;
    let ended = |_| Err(unavailable("a request to kafka has panicked"));
    result.await.unwrap_or_else(ended)
}
