//! The broker: sending, consumers, and looking at queues.

mod browse;
mod moving;
mod partition;
mod settle;
mod window;
mod worker;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use browse::Browser;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    Caps, ConsumeOptions, DeclareOptions, Delivery, Depth, Error, ErrorKind, LengthCounts, Message,
    Queue, QueueBroker, Result, Route, Selection, SendOptions,
    driver::{ConnectionState, Outage, SuspectGate, delivery_channel, lock},
    header,
};
use moving::Mover;
use rdkafka::{
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
};
use settle::Shared;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use worker::{Context, Event, Inbox, Setup, Worker};

use crate::{
    KafkaOptions,
    client::{Client, Outgoing, blocking},
    connection::{Link, keep},
    error::{closed, error_of, is_final, no_thread},
};

/// The largest body. With headers and key a message is smaller than the default of the server, 1,048,588 bytes.
const MAX_PAYLOAD: usize = 1_000_000;

/// The largest headers of a message, with room for those of a dead letter.
const MAX_HEADERS: usize = 32 * 1024 - header::DEAD_LETTER_SIZE;

/// The largest key.
const MAX_KEY: usize = 8 * 1024;

/// The longest time that closing takes.
const CLOSE: Duration = Duration::from_secs(30);

/// Queues on Kafka.
pub struct KafkaBroker {
    options: KafkaOptions,
    client: Arc<Client>,
    link: Arc<Link>,
    keeper: AbortOnDropHandle<()>,
    gate: Arc<SuspectGate>,
    consumers: Mutex<Vec<Running>>,
    /// The end of all consumers.
    stopping: CancellationToken,
    /// Nothing is stored any longer.
    closing: CancellationToken,
    is_closed: AtomicBool,
}

/// The thread of a consumer.
struct Running {
    inbox: Arc<Inbox>,
    ended: oneshot::Receiver<()>,
}

impl KafkaBroker {
    /// Creates a broker. It connects by itself, and reconnects until it succeeds.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) for options that the client refuses.
    pub async fn connect(options: &KafkaOptions) -> Result<Self> {
        let (wanted, link) = (options.clone(), Arc::<Link>::default());
        let of_client = Arc::clone(&link);
        let client = blocking(move || Client::new(&wanted, of_client)).await?;
        let client = Arc::new(client);
        let asked = Arc::clone(&client);
        let keeping = keep(Arc::clone(&link), options.address(), move || {
            let client = Arc::clone(&asked);
            blocking(move || client.reach())
        });
        Ok(Self {
            options: options.clone(),
            client,
            link,
            keeper: AbortOnDropHandle::new(tokio::spawn(keeping)),
            gate: Arc::default(),
            consumers: Mutex::default(),
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Returns the capabilities of every Kafka.
    #[must_use]
    pub fn capabilities() -> Caps {
        let mut caps = Caps::of_server(MAX_PAYLOAD);
        caps.ids = true;
        caps.headers = true;
        caps.keys = true;
        caps.partitioned = true;
        caps.length = LengthCounts::Unsettled;
        caps.peek = true;
        (caps.requeue, caps.purge, caps.select_by_id) = (true, true, true);
        caps.changes_idle_only = true;
        caps.depth = true;
        caps.max_headers = Some(MAX_HEADERS);
        caps
    }

    /// Ends all consumers as the death of the process would: nothing is committed. For tests.
    #[doc(hidden)]
    pub async fn crash(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.end_consumers(|| Event::Crash).await;
    }

    async fn end_consumers(&self, event: impl Fn() -> Event) {
        let running = std::mem::take(&mut *lock(&self.consumers));
        for consumer in &running {
            consumer.inbox.send(event());
        }
        for consumer in running {
            // The thread has ended when its sender is gone.
            let _ = consumer.ended.await;
        }
    }

    /// Looks at a queue.
    async fn browse<T: Send + 'static>(
        &self,
        queue: &Queue,
        look: impl FnOnce(&Browser, &Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.check_open()?;
        let (options, client) = (self.options.clone(), Arc::clone(&self.client));
        let name = queue.name().to_owned();
        let looking = blocking(move || look(&Browser::new(&options, &name)?, &client));
        self.request(looking).await
    }

    /// Moves or removes messages of a queue.
    async fn change(
        &self,
        queue: &Queue,
        change: impl FnOnce(Mover) -> Result<u64> + Send + 'static,
    ) -> Result<u64> {
        self.check_open()?;
        let (options, client) = (self.options.clone(), Arc::clone(&self.client));
        let name = queue.name().to_owned();
        self.request(blocking(move || {
            change(Mover::new(&options, client, &name)?)
        }))
        .await
    }

    /// Runs a request, whose error names the servers if they do not answer.
    async fn request<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        self.link.request(&self.address(), request).await
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        Ok(())
    }

    /// Creates the queue if it does not exist, and asks whether this user may consume it.
    async fn prepare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.client.declare(queue.name(), options).await?;
        let (options, name) = (self.options.clone(), queue.name().to_owned());
        let asking = move || {
            let browser = Browser::of_rights(&options, &name)?;
            Ok((browser.may_consume(), browser))
        };
        let (answer, browser) = blocking(asking).await?;
        // Its end takes a moment.
        tokio::task::spawn_blocking(move || drop(browser));
        answer
    }

    async fn prepare_until_final(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        let mut outage = Outage::default();
        loop {
            match self.request(self.prepare(queue, options)).await {
                Err(error) if !is_final(&error) => {
                    if outage.is_news(&error) {
                        tracing::warn!(queue = queue.name(), %error, "cannot consume; will keep retrying");
                    }
                    sleep(outage.pause()).await;
                    self.check_open()?;
                }
                declared => return declared,
            }
        }
    }
}

#[async_trait]
impl QueueBroker for KafkaBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.check_open()?;
        self.caps()
            .check_send("kafka", to, payload.len(), &options)?;
        let key = options.key.as_deref().map(str::as_bytes);
        if key.is_some_and(|key| key.len() > MAX_KEY) {
            let text = format!("a key of more than {MAX_KEY} bytes for `{}`", to.queue);
            return Err(Error::new(ErrorKind::PayloadTooLarge, text));
        }
        let outgoing = Outgoing {
            topic: to.queue.name(),
            key,
            id: options.id.as_deref(),
            headers: &options.headers,
            raw_headers: &[],
            body: &payload,
        };
        self.client.send(&outgoing).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.check_open()?;
        let mut declaration = DeclareOptions::default();
        declaration.native = options.native;
        self.prepare_until_final(queue, &declaration).await?;
        let inbox = Arc::<Inbox>::default();
        let stopping = self.stopping.child_token();
        let (prefetch, sender, stream) =
            delivery_channel(options.prefetch, Arc::clone(&self.gate), stopping.clone());
        let shared = Shared {
            inbox: Arc::clone(&inbox),
            client: Arc::clone(&self.client),
            runtime: Handle::current(),
            closing: self.closing.clone(),
        };
        let setup = Setup {
            name: queue.name().into(),
            address: self.address(),
            shared: Arc::new(shared),
            prefetch,
            limit: options.prefetch,
            deliveries: Arc::new(sender),
            gate: Arc::clone(&self.gate),
            runtime: Handle::current(),
            inbox: Arc::clone(&inbox),
            stopping: stopping.clone(),
        };
        let (config, name) = self.options.member(queue.name());
        let context = Context::new(self.options.group_of(queue.name()), name);
        let consumer = BaseConsumer::from_config_and_context(&config, context);
        let mut consumer = consumer.map_err(|error| error_of(&error))?;
        let waking = Arc::clone(&inbox);
        consumer.set_nonempty_callback(move || waking.wake());
        consumer
            .subscribe(&[queue.name()])
            .map_err(|error| error_of(&error))?;
        let worker = Worker::new(setup, consumer).map_err(no_thread)?;
        let (ending, ended) = oneshot::channel::<()>();
        let spawned = std::thread::Builder::new()
            .name(format!("kafka {queue}"))
            .spawn(move || {
                worker.run();
                drop(ending);
            });
        spawned.map_err(no_thread)?;
        let waking = Arc::clone(&inbox);
        tokio::spawn(async move {
            stopping.cancelled().await;
            waking.wake();
        });
        let mut consumers = lock(&self.consumers);
        consumers.retain_mut(|running| {
            running.ended.try_recv() == Err(oneshot::error::TryRecvError::Empty)
        });
        consumers.push(Running { inbox, ended });
        Ok(stream.boxed())
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.browse(queue, Browser::length).await
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        self.browse(queue, Browser::depth).await
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.check_open()?;
        self.request(self.client.declare(queue.name(), options))
            .await
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        self.browse(queue, move |browser, client| browser.peek(client, limit))
            .await
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        let (to, which) = (to.clone(), which.clone());
        self.change(from, move |mover| mover.requeue(&to, &which))
            .await
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        let which = which.clone();
        self.change(queue, move |mover| mover.purge(&which)).await
    }

    fn caps(&self) -> Caps {
        Self::capabilities()
    }

    async fn ready(&self) -> Result<()> {
        let mut outage = Outage::default();
        loop {
            self.check_open()?;
            let client = Arc::clone(&self.client);
            match self.request(blocking(move || client.reach())).await {
                Err(error) if !is_final(&error) => sleep(outage.pause()).await,
                reached => return reached,
            }
        }
    }

    fn connection(&self) -> Option<ConnectionState> {
        Some(self.link.state())
    }

    fn address(&self) -> String {
        self.options.address()
    }

    async fn close(&self) -> Result<()> {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let ended = timeout(CLOSE, self.end_consumers(|| Event::Close)).await;
        self.stopping.cancel();
        self.closing.cancel();
        self.keeper.abort();
        self.link.close();
        let client = Arc::clone(&self.client);
        blocking(move || {
            client.flush();
            Ok(())
        })
        .await?;
        ended.map_err(|_| {
            let text = "the server did not take the last settlements in time";
            Error::new(ErrorKind::Timeout, text)
        })
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl fmt::Debug for KafkaBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBroker")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
