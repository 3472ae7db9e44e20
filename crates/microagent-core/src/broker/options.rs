//! The destination of a message, and the options of requests to a broker.

use std::{collections::BTreeMap, time::Duration};

use super::caps::unsupported;
use crate::{Error, ErrorKind, Queue, Result};

/// The destination of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The queue, and the routing key where an exchange is used without a topic.
    pub queue: Queue,
    /// The exchange to publish to instead of the queue's own.
    pub exchange: Option<String>,
    /// The topic to publish under instead of the queue's name.
    pub topic: Option<String>,
}

impl Route {
    /// Returns the [`Unroutable`](ErrorKind::Unroutable) error of a message that no queue accepts.
    ///
    /// ```
    /// use microagent_core::{Queue, Route};
    ///
    /// let error = Route::from(Queue::new("mailer")).unroutable();
    /// assert!(error.to_string().starts_with("queue `mailer` does not exist: declare it"));
    /// ```
    #[must_use]
    pub fn unroutable(&self) -> Error {
        let remedy = "declare it, or start its consumer";
        let topic = self.topic.as_deref().unwrap_or(self.queue.name());
        let text = match self.exchange.as_deref().or(self.queue.exchange()) {
            None | Some("") => format!("queue `{topic}` does not exist: {remedy}"),
            Some(exchange) => format!(
                "no queue is bound to exchange `{exchange}` under topic `{topic}`: declare a queue such as `{}`, or \
                 start its consumer",
                self.queue
            ),
        };
        Error::new(ErrorKind::Unroutable, text)
    }
}

impl From<Queue> for Route {
    fn from(queue: Queue) -> Self {
        Self {
            queue,
            exchange: None,
            topic: None,
        }
    }
}

/// The options of a message. A driver refuses those that its [`Caps`](super::Caps) do not offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// The id of the message, instead of one that the driver makes.
    pub id: Option<String>,
    /// Deliver not before this long from now.
    pub delay: Option<Duration>,
    /// Headers that travel beside the body.
    pub headers: Vec<(String, String)>,
    /// The partition key.
    pub key: Option<String>,
    /// Properties of the server's own protocol, by their names there.
    pub native: BTreeMap<String, String>,
}

/// The options of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumeOptions {
    /// The most deliveries that may be unsettled at a time; at least 1.
    pub prefetch: usize,
    /// The longest time that the handler of one delivery may take, if it has a limit.
    ///
    /// A driver whose server has a limit of its own warns, or sets the limit of the server accordingly.
    pub handler_timeout: Option<Duration>,
    /// The attribute's driver options, by name; the driver refuses those that it does not know.
    pub native: BTreeMap<String, String>,
}

impl ConsumeOptions {
    /// Options with this prefetch.
    #[must_use]
    pub fn with_prefetch(prefetch: usize) -> Self {
        Self {
            prefetch: prefetch.max(1),
            ..Self::default()
        }
    }

    /// Refuses [`native`](Self::native) options, for a driver that has none.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported), with the first of them.
    ///
    /// ```
    /// use microagent_core::ConsumeOptions;
    ///
    /// let mut options = ConsumeOptions::with_prefetch(8);
    /// assert!(options.refuse_native("memory").is_ok());
    /// options.native.insert("group".into(), "billing".into());
    /// assert!(options.refuse_native("memory").unwrap_err().to_string().contains("`group`"));
    /// ```
    pub fn refuse_native(&self, driver: &str) -> Result<()> {
        refuse_native(driver, &self.native)
    }
}

impl Default for ConsumeOptions {
    fn default() -> Self {
        Self {
            prefetch: 32,
            handler_timeout: None,
            native: BTreeMap::new(),
        }
    }
}

/// The options of a declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclareOptions {
    /// Options of the driver, by name. `driver(…)` of a consumer takes the same names.
    pub native: BTreeMap<String, String>,
}

impl DeclareOptions {
    /// Rejects [`native`](Self::native) options, for a driver that has none.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported), with the first of them.
    ///
    /// ```
    /// use microagent_core::DeclareOptions;
    ///
    /// let mut options = DeclareOptions::default();
    /// assert!(options.refuse_native("memory").is_ok());
    /// options.native.insert("durable".into(), "false".into());
    /// assert!(options.refuse_native("memory").unwrap_err().to_string().contains("`durable`"));
    /// ```
    pub fn refuse_native(&self, driver: &str) -> Result<()> {
        refuse_native(driver, &self.native)
    }
}

fn refuse_native(driver: &str, native: &BTreeMap<String, String>) -> Result<()> {
    let Some(name) = native.keys().next() else {
        return Ok(());
    };
    Err(unsupported(
        driver,
        &format!("the driver option `{name}`: it has none"),
    ))
}
