//! Sends messages, confirmed and mandatory, many at a time on one channel.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use lapin::{
    Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use microagent_core::{Error, ErrorKind, Result};
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use super::topology::{self, QueueKind, Side, rounded};
use crate::{
    connection::{Link, Up, within},
    error::{error_of, is_final, is_not_found, unavailable},
    message::{Outgoing, with_due},
    properties::short,
};
use microagent_core::driver::lock;

/// The longest time that the server may take to confirm a message.
const CONFIRM: Duration = Duration::from_secs(10);

const BLOCKED: &str = "rabbitmq is short of memory or disk and takes no messages";
const LATE: &str = "rabbitmq did not confirm in time";
const UNKNOWN: &str = "the message may or may not have been sent";

/// Sends over the connection that publishes.
pub(super) struct Publisher {
    link: Link,
    /// By exchange: a message for an exchange that does not exist ends its channel, and all that waits there.
    channels: Mutex<HashMap<String, (u64, Channel)>>,
    /// Held while a channel is opened, so that an exchange gets one.
    opening: AsyncMutex<()>,
    /// The queues of ours that exist, by the connection on which that was found out.
    known: Mutex<HashMap<String, u64>>,
}

/// Why an attempt failed.
enum Failure {
    /// The channel ended; nobody knows whether the message arrived.
    Lost(Error),
    Final(Error),
}

impl Publisher {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            channels: Mutex::default(),
            opening: AsyncMutex::default(),
            known: Mutex::default(),
        }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Waits for a send until the server is late.
    ///
    /// # Errors
    /// Those of the send; `Unavailable` if the server does not confirm in time.
    pub(super) fn in_time<'a>(
        &'a self,
        sending: impl Future<Output = Result<()>> + Send + 'a,
    ) -> impl Future<Output = Result<()>> + Send + 'a {
        let late = || {
            let blocked = self.link.is_blocked();
            unavailable(format!(
                "{}; {UNKNOWN}",
                if blocked { BLOCKED } else { LATE }
            ))
        };
        // An `async fn` would keep the send twice.
        timeout(CONFIRM, sending).map(move |sent| sent.unwrap_or_else(|_| Err(late())))
    }

    /// Sends a message; it is stored when this returns. If the channel ends before the confirmation the same message is
    /// sent once more, with the same id. While the channel lives, this waits: a message that is given up is stored later all
    /// the same.
    ///
    /// # Errors
    /// `Unavailable`, `Unroutable` if no queue takes it, and what the server refuses.
    pub(super) async fn publish(&self, message: &Outgoing) -> Result<()> {
        let up = self.link.up().await?;
        match self.attempt(message, up).await {
            Ok(()) => Ok(()),
            Err(Failure::Final(error)) => Err(error),
            // In a box, so that the future of each message does not have the place for it.
            Err(Failure::Lost(_)) => Box::pin(self.publish_again(message)).await,
        }
    }

    async fn publish_again(&self, message: &Outgoing) -> Result<()> {
        let again = async {
            let up = self.link.up_within(CONFIRM).await.map_err(Failure::Lost)?;
            self.attempt(message, up).await
        };
        match again.await {
            Ok(()) => Ok(()),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Lost(error)) if is_final(&error) => Err(error),
            Err(Failure::Lost(error)) => Err(unavailable(format!("{error}; {UNKNOWN}"))),
        }
    }

    async fn attempt(&self, message: &Outgoing, up: Up) -> std::result::Result<(), Failure> {
        let exchange =
            short(&message.exchange, "the name of an exchange").map_err(Failure::Final)?;
        let key = short(&message.routing_key, "a topic").map_err(Failure::Final)?;
        let channel = match self.open_channel(&message.exchange, &up) {
            Some(channel) => channel,
            None => Box::pin(self.channel(&message.exchange, up)).await?,
        };
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let (body, properties) = (&message.body[..], message.properties.clone());
        let sent = channel.basic_publish(exchange, key, mandatory, body, properties);
        let failed = |error| Failure::of(&error, message);
        match sent.await.map_err(failed)?.await.map_err(failed)? {
            Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => {
                Err(Failure::Final(unroutable(message)))
            }
            Confirmation::Nack(None) => {
                let text = format!(
                    "rabbitmq did not accept a message for `{}`: the queue may be full",
                    message.routing_key
                );
                Err(Failure::Final(Error::new(ErrorKind::Driver, text)))
            }
        }
    }

    /// Returns the channel of an exchange if it is open.
    fn open_channel(&self, exchange: &str, up: &Up) -> Option<Channel> {
        match lock(&self.channels).get(exchange) {
            Some((generation, channel))
                if *generation == up.generation && channel.status().connected() =>
            {
                Some(channel.clone())
            }
            _ => None,
        }
    }

    /// Opens the channel of an exchange, unless another message has opened it meanwhile.
    async fn channel(&self, exchange: &str, up: Up) -> std::result::Result<Channel, Failure> {
        let _opening = self.opening.lock().await;
        if let Some(channel) = self.open_channel(exchange, &up) {
            return Ok(channel);
        }
        let channel = up.channel().await.map_err(Failure::Lost)?;
        let confirming = within(channel.confirm_select(ConfirmSelectOptions::default()));
        let confirming = confirming.await.map_err(Failure::Lost)?;
        confirming.map_err(|error| Failure::Lost(error_of(&error)))?;
        let mut channels = lock(&self.channels);
        channels.retain(|_, (generation, _)| *generation == up.generation);
        channels.insert(exchange.to_owned(), (up.generation, channel.clone()));
        Ok(channel)
    }

    /// Sends a message to a queue of ours, which is created if it does not exist.
    pub(super) async fn publish_aside(
        &self,
        side: &Side,
        kind: QueueKind,
        message: &Outgoing,
    ) -> Result<()> {
        let name = side.name();
        self.ensure(side, kind).await?;
        match self.publish(message).await {
            Err(error) if error.kind() == ErrorKind::Unroutable => {
                // Somebody deleted it meanwhile.
                lock(&self.known).remove(&name);
                self.ensure(side, kind).await?;
                self.publish(message).await
            }
            sent => sent,
        }
    }

    async fn ensure(&self, side: &Side, kind: QueueKind) -> Result<()> {
        let up = self.link.up().await?;
        let name = side.name();
        if lock(&self.known).get(&name) == Some(&up.generation) {
            return Ok(());
        }
        topology::create(&up, &name, side.is_durable(kind), side.arguments(kind)).await?;
        lock(&self.known).insert(name, up.generation);
        Ok(())
    }

    /// Sends a message to its queue, or to where it waits for its time.
    pub(super) async fn publish_after(
        &self,
        queue: &str,
        delay: Duration,
        kind: QueueKind,
        mut message: Outgoing,
        now: SystemTime,
    ) -> Result<()> {
        if delay.is_zero() {
            return self.publish(&message).await;
        }
        let millis = rounded(delay);
        if Duration::from_millis(millis.into()) < delay {
            message.properties = with_due(message.properties, now, delay);
        }
        let side = Side::Delay {
            queue: queue.to_owned(),
            millis,
        };
        message.routing_key = side.name();
        self.publish_aside(&side, kind, &message).await
    }
}

fn unroutable(message: &Outgoing) -> Error {
    let Outgoing {
        exchange,
        routing_key,
        ..
    } = message;
    let text = if exchange.is_empty() {
        format!("queue `{routing_key}` does not exist: declare it, or start its consumer first")
    } else {
        format!(
            "no queue takes messages of exchange `{exchange}` with the topic `{routing_key}`: declare one, or start its consumer first"
        )
    };
    Error::new(ErrorKind::Unroutable, text)
}

impl Failure {
    fn of(error: &lapin::Error, message: &Outgoing) -> Self {
        if is_not_found(error) {
            let text = format!(
                "exchange `{}` does not exist: declare a queue that is bound to it, or start its consumer first",
                message.exchange
            );
            return Self::Final(Error::new(ErrorKind::Unroutable, text));
        }
        let error = error_of(error);
        if is_final(&error) {
            return Self::Final(error.context(format!("cannot send to `{}`", message.routing_key)));
        }
        Self::Lost(error)
    }
}
