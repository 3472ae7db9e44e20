//! A queue message as its handler may read it. Its [`Delivery`](crate::Delivery) decides what happens to it.

use std::{any::Any, fmt, slice, sync::Arc, time::SystemTime};

use bytes::Bytes;

/// A queue message as its handler may read it.
///
/// Cloning is cheap: clones share one allocation.
#[derive(Clone)]
pub struct Message(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    queue: Arc<str>,
    payload: Bytes,
    id: Option<Box<str>>,
    attempt: u32,
    crashes: u32,
    sent_at: Option<SystemTime>,
    /// Absent from most messages, so that they are half as large.
    rest: Option<Box<Rest>>,
}

/// The parts that few messages have.
#[derive(Clone, Default)]
struct Rest {
    headers: Vec<(String, String)>,
    first_failure: Option<SystemTime>,
    topic: Option<String>,
    key: Option<String>,
    native: Option<Arc<dyn Any + Send + Sync>>,
}

impl Message {
    /// A message as it came out of a queue: first attempt, no headers.
    ///
    /// ```
    /// use microagent_core::Message;
    ///
    /// let message = Message::new("mailer", r#"{"text":"hi"}"#).with_attempt(2).with_header("trace", "t1");
    /// assert_eq!((message.queue(), message.attempt(), message.header("trace")), ("mailer", 2, Some("t1")));
    /// ```
    pub fn new(queue: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        Self(Arc::new(Parts {
            queue: queue.into(),
            payload: payload.into(),
            id: None,
            attempt: 1,
            crashes: 0,
            sent_at: None,
            rest: None,
        }))
    }

    fn rest(&self) -> Option<&Rest> {
        self.0.rest.as_deref()
    }

    fn rest_mut(&mut self) -> &mut Rest {
        Arc::make_mut(&mut self.0).rest.get_or_insert_default()
    }

    /// The same message with the id that the driver knows it by.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).id = Some(id.into().into());
        self
    }

    /// The same message with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = (name.into(), value.into());
        self.rest_mut().headers.push(header);
        self
    }

    /// The same message as its n-th handling, counted from 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        Arc::make_mut(&mut self.0).attempt = attempt;
        self
    }

    /// The same message with the number of times its consumer died while it was in flight.
    #[must_use]
    pub fn with_crashes(mut self, crashes: u32) -> Self {
        Arc::make_mut(&mut self.0).crashes = crashes;
        self
    }

    /// The same message with the time at which a handling of it failed first.
    #[must_use]
    pub fn with_first_failure(mut self, at: SystemTime) -> Self {
        self.rest_mut().first_failure = Some(at);
        self
    }

    /// The same message with the time at which it was sent.
    #[must_use]
    pub fn with_sent_at(mut self, at: SystemTime) -> Self {
        Arc::make_mut(&mut self.0).sent_at = Some(at);
        self
    }

    /// The same message with the topic under which it was published.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<String>) -> Self {
        self.rest_mut().topic = Some(topic.into());
        self
    }

    /// The same message with its partition key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.rest_mut().key = Some(key.into());
        self
    }

    /// The same message with a value of the driver, for [`native`](Self::native).
    #[must_use]
    pub fn with_native(mut self, native: Arc<dyn Any + Send + Sync>) -> Self {
        self.rest_mut().native = Some(native);
        self
    }

    /// The queue it came from.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.0.queue
    }

    /// The body, as it was sent.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.0.payload
    }

    /// Returns the id with which the message was [sent](crate::SendOptions::id), or else the one that the driver gave
    /// it, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    /// A header by name; the last one wins.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .filter(|(key, _)| *key == name)
            .last()
            .map(|(_, value)| value)
    }

    /// Returns all headers, in the order in which they were sent.
    ///
    /// ```
    /// use microagent_core::Message;
    ///
    /// let message = Message::new("mailer", "{}").with_header("trace", "t1");
    /// assert_eq!(format!("{:?}", message.headers()), r#"{"trace": "t1"}"#);
    /// ```
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers(self.rest().map_or(&[][..], |rest| &rest.headers).iter())
    }

    /// Which handling this is, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Returns how often a consumer died while this message was in flight.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        self.0.crashes
    }

    /// When a handling of it failed first, where the driver keeps that over retries.
    #[must_use]
    pub fn first_failure(&self) -> Option<SystemTime> {
        self.rest()?.first_failure
    }

    /// Returns when the message was sent, by the clock of its sender or of the server, if the driver knows it.
    #[must_use]
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.0.sent_at
    }

    /// Returns the topic under which the message was published, if the driver has topics.
    ///
    /// ```
    /// use microagent_core::Message;
    ///
    /// let message = Message::new("audit", "{}").with_topic("orders.paid").with_key("user 7");
    /// assert_eq!((message.topic(), message.key()), (Some("orders.paid"), Some("user 7")));
    /// ```
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.rest()?.topic.as_deref()
    }

    /// Returns the partition key of the message, if the driver has keys and the message was sent with one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.rest()?.key.as_deref()
    }

    /// Returns what only this driver knows of the message, if it offers a value of the type `T`. The types are the
    /// driver's own, so that no program needs the version of a client library that the driver uses.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microagent_core::Message;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct Offset(u64); // a public type of the driver
    ///
    /// let message = Message::new("mailer", "{}").with_native(Arc::new(Offset(7)));
    /// assert_eq!(message.native::<Offset>(), Some(&Offset(7)));
    /// ```
    #[must_use]
    pub fn native<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.rest()?.native.as_deref()?.downcast_ref()
    }
}

/// Headers are shown by their names: a value may be a secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("queue", &self.0.queue)
            .field("id", &self.0.id)
            .field("bytes", &self.0.payload.len())
            .field("attempt", &self.0.attempt)
            .field("crashes", &self.0.crashes)
            .field(
                "headers",
                &self.headers().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// The headers of a [`Message`]: an iterator over names and values.
#[derive(Clone)]
pub struct Headers<'a>(slice::Iter<'a, (String, String)>);

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.next()?;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}
