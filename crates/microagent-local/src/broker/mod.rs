//! The broker of `local:`.

mod deliveries;
mod message;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, DeclareOptions, Delivery, Depth, Lease, Leases,
    Message, Queue, QueueBroker, Result, Route, Selection, SendOptions, driver::ConnectionState,
    ledger::MessageId,
};

use self::{deliveries::Deliveries, message::message_of};
use crate::{
    LocalOptions,
    connection::{Session, text},
    protocol::{Browse, MAX_HEADERS, Request, check_message},
};

/// The durable queues of a folder.
///
/// A message is on the disk when [`send`](QueueBroker::send) returns. All handles of a process on one folder
/// share a connection; for the hub they are one consuming process.
///
/// ```
/// use futures_util::StreamExt;
/// use microagent_core::{ConsumeOptions, Queue, QueueBroker};
/// use microagent_local::{LocalBroker, LocalOptions};
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let folder = tempfile::tempdir()?;
/// let options = LocalOptions::parse(&format!("local:{}", folder.path().display()))?;
///
/// let broker = LocalBroker::connect(&options).await?;
/// broker.send(&MAILER.into(), r#"{"text":"hi"}"#.into(), Default::default()).await?;
/// broker.close().await?;
///
/// let later = LocalBroker::connect(&options).await?;
/// let mut mails = later.consume(&MAILER, ConsumeOptions::with_prefetch(8)).await?;
/// let mail = mails.next().await.expect("a broker that is open");
/// assert_eq!(mail.message().payload(), r#"{"text":"hi"}"#);
/// mail.ack().await?;
/// # later.close().await?;
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct LocalBroker {
    session: Arc<Session>,
    address: String,
}

impl LocalBroker {
    /// Returns the capabilities of every broker of this driver. Needs no connection.
    #[must_use]
    pub fn capabilities() -> Caps {
        let mut caps = Caps::of_server(DEFAULT_MAX_PAYLOAD);
        (caps.creates, caps.headers, caps.delay) = (true, true, true);
        caps.leases = true;
        (caps.peek, caps.requeue, caps.purge) = (true, true, true);
        (caps.select_by_id, caps.depth) = (true, true);
        caps.max_headers = Some(MAX_HEADERS);
        caps
    }

    /// Connects to the folder's hub, and hosts it if no process does. A hub that does not answer is not an
    /// error: the connection keeps trying, on the runtime on which this function was called.
    ///
    /// # Errors
    /// Returns the errors that waiting cannot fix: [`Configuration`](microagent_core::ErrorKind::Configuration)
    /// for a folder that cannot be used and for a hub of another version,
    /// [`Driver`](microagent_core::ErrorKind::Driver) for files in the folder that cannot be used.
    pub async fn connect(options: &LocalOptions) -> Result<Self> {
        Ok(Self::of(Session::open(options, "broker").await?, options))
    }

    /// Returns a broker with a connection of its own, as another process would have it. For tests of drivers.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    #[doc(hidden)]
    pub async fn connect_apart(options: &LocalOptions) -> Result<Self> {
        Ok(Self::of(Session::apart(options, "broker").await?, options))
    }

    /// Ends the connection, for every handle on it, as the death of the process would. For tests.
    #[doc(hidden)]
    pub fn crash(&self) {
        self.session.crash();
    }

    /// Repeats a request until `limit` messages are processed or none are left. The hub processes only a part
    /// of a large request.
    async fn in_parts(&self, limit: u64, part: impl Fn(u32) -> Browse) -> Result<u64> {
        let mut done = 0;
        while done < limit {
            let left = u32::try_from(limit - done).unwrap_or(u32::MAX);
            match self.session.count(Request::Browse(part(left))).await? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    /// Moves or removes the message with this id. If the id is not one that the hub assigns, there is no such
    /// message.
    async fn one(&self, id: &str, of_message: impl FnOnce(MessageId) -> Browse) -> Result<u64> {
        match id.parse() {
            Ok(message) => {
                let request = Request::Browse(of_message(message));
                self.session.count(request).await
            }
            Err(_) => Ok(0),
        }
    }

    fn of(session: Arc<Session>, options: &LocalOptions) -> Self {
        Self {
            session,
            address: options.address(),
        }
    }
}

#[async_trait]
impl QueueBroker for LocalBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.caps()
            .check_send("local", to, payload.len(), &options)?;
        check_message(payload.len(), &options.headers)?;
        let send = Request::Send {
            queue: text("queue name", to.queue.name())?,
            payload,
            headers: options.headers,
            delay: options.delay,
        };
        self.session.done(send).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        options.refuse_native("local")?;
        let queue = text("queue name", queue.name())?;
        let prefetch = few(options.prefetch);
        let deliveries = Deliveries::open(self.session.clone(), queue, prefetch).await?;
        Ok(Box::pin(deliveries))
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        let queue = text("queue name", queue.name())?;
        self.session.count(Request::Length { queue }).await
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        let queue = text("queue name", queue.name())?;
        self.session.depth(queue).await
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        options.refuse_native("local")?;
        let queue = text("queue name", queue.name())?;
        self.session.done(Request::Declare { queue }).await
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        let (name, queue_name) = (text("queue name", queue.name())?, Arc::from(queue.name()));
        let mut seen = Vec::new();
        while seen.len() < limit {
            let part = self
                .session
                .look(Browse::Peek {
                    queue: name.clone(),
                    skip: few(seen.len()),
                    limit: few(limit - seen.len()),
                })
                .await?;
            if part.is_empty() {
                break;
            }
            let messages = part.into_iter();
            seen.extend(messages.map(|message| message_of(message, Arc::clone(&queue_name))));
        }
        Ok(seen)
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        let (source, to) = (
            text("queue name", from.name())?,
            text("queue name", to.name())?,
        );
        if let Selection::Id(id) = which {
            let one = |message| Browse::RequeueOne {
                from: source,
                to,
                message,
            };
            return self.one(id, one).await;
        }
        // `from` and `to` may be the same queue, so this must not move more messages than wait now.
        let limit = which.limit("local")?.min(self.length(from).await?);
        let from = source;
        self.in_parts(limit, |limit| Browse::Requeue {
            from: from.clone(),
            to: to.clone(),
            limit,
        })
        .await
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        let queue = text("queue name", queue.name())?;
        if let Selection::Id(id) = which {
            let one = |message| Browse::PurgeOne { queue, message };
            return self.one(id, one).await;
        }
        self.in_parts(which.limit("local")?, |limit| Browse::Purge {
            queue: queue.clone(),
            limit,
        })
        .await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn connection(&self) -> Option<ConnectionState> {
        Some(self.session.state())
    }

    fn caps(&self) -> Caps {
        Self::capabilities()
    }

    async fn ready(&self) -> Result<()> {
        self.session.ready().await
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    async fn close(&self) -> Result<()> {
        self.session.close().await
    }
}

#[async_trait]
impl Leases for LocalBroker {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        let (key, holder) = (text("lease key", key)?, text("lease holder", holder)?);
        self.session.lease(key, holder, ttl).await
    }
}

/// Converts a number for the protocol. Larger numbers are cut; the hub processes fewer per request anyway.
fn few(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
