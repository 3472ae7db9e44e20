//! The connection of all subscriptions: opened for the first of them, pinged, and opened again after each loss.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all};
use microagent_core::{
    Error, ErrorKind, Result,
    driver::{ConnectionRecord, Failure, Outage, Reconnect, bus_closed, keep_connected},
};
use redis::aio::{PubSub, PubSubSink};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    pattern::is_glob,
    subscriptions::{Listener, Subscriptions},
};
use crate::{connection::Connector, error::error_of};

/// The time between two pings. Patterns that the server refused are subscribed again at the same times.
const PING_EVERY: Duration = Duration::from_secs(5);

/// The time that an answer may take. If the server is silent for longer, the connection counts as lost.
const ANSWER: Duration = Duration::from_secs(4);

/// The most messages that are passed on in one go.
const BATCH: usize = 256;

/// A change of the subscriptions of the bus.
#[derive(Debug)]
pub(super) enum Command {
    Subscribe(Arc<str>, Listener),
    Unsubscribe(Arc<str>, u64),
}

/// Keeps the connection of all subscriptions of a bus.
pub(super) struct Subscriber {
    connector: Connector,
    commands: mpsc::UnboundedReceiver<Command>,
    subscriptions: Subscriptions,
    /// The last attempt to connect failed.
    retries: bool,
    record: Arc<ConnectionRecord>,
}

impl Subscriber {
    pub(super) fn new(
        connector: Connector,
        commands: mpsc::UnboundedReceiver<Command>,
        record: Arc<ConnectionRecord>,
    ) -> Self {
        Self {
            connector,
            commands,
            subscriptions: Subscriptions::default(),
            retries: false,
            record,
        }
    }

    /// Runs until the bus and all its streams are gone.
    pub(super) async fn run(mut self) {
        keep_connected(&mut self, None, Outage::default()).await;
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Subscribe(glob, listener) => self.subscriptions.insert(glob, listener),
            Command::Unsubscribe(glob, id) => self.subscriptions.remove(&glob, id),
        }
    }

    /// Applies the commands that wait. Breaks when the bus and all its streams are gone.
    fn apply_waiting(&mut self) -> ControlFlow<()> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.apply(command),
                Err(mpsc::error::TryRecvError::Empty) => return ControlFlow::Continue(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
    }

    /// Sends the changes to the server: unsubscribes from patterns without streams, and subscribes to those that are not live.
    ///
    /// # Errors
    /// Those of the connection. If the server refuses a pattern, its new streams get the error.
    async fn update(&mut self, sink: &mut PubSubSink) -> Result<()> {
        let unheard = self.subscriptions.extract_unheard();
        if !unheard.is_empty() {
            let names = unheard.iter().map(|name| &**name);
            let (globs, channels): (Vec<_>, Vec<_>) = names.partition(|name| is_glob(name));
            if !globs.is_empty() {
                in_time(sink.punsubscribe(&globs)).await?;
            }
            if !channels.is_empty() {
                in_time(sink.unsubscribe(&channels)).await?;
            }
        }
        // One command for each, so that a refusal does not affect the others.
        let asked = self.subscriptions.missing().into_iter().map(|glob| {
            let mut sink = sink.clone();
            async move {
                let confirmed = if is_glob(&glob) {
                    in_time(sink.psubscribe(&*glob)).await
                } else {
                    in_time(sink.subscribe(&*glob)).await
                };
                (confirmed, glob)
            }
        });
        for (confirmed, glob) in join_all(asked).await {
            match confirmed {
                Ok(()) => self.subscriptions.go_live(&glob),
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(error) => {
                    let error = error.context(format!("cannot subscribe to `{glob}`"));
                    warn!(%error, "subscription refused; will keep retrying");
                    self.subscriptions.refuse(&glob, &error);
                }
            }
        }
        // Patterns whose streams were all refused are removed.
        self.subscriptions.extract_unheard();
        Ok(())
    }
}

impl Reconnect for Subscriber {
    type Connection = PubSub;

    fn name(&self) -> (&'static str, String) {
        ("signals", self.connector.options().address())
    }

    async fn open(&mut self) -> Result<PubSub> {
        if self.apply_waiting().is_break() {
            return Err(bus_closed());
        }
        // A failed attempt is repeated even if the last stream has gone: the state of the connection is of interest.
        while !self.retries && self.subscriptions.is_empty() {
            let command = self.commands.recv().await;
            self.apply(command.ok_or_else(bus_closed)?);
        }
        self.connector.pubsub().await
    }

    /// Passes messages to the streams of the subscriptions until the connection is lost. `Ok` when the bus and all its
    /// streams are gone.
    async fn serve(&mut self, pubsub: PubSub) -> Result<()> {
        let (mut sink, messages) = pubsub.split();
        let mut messages = messages.ready_chunks(BATCH);
        let alive = ping_until_silent(sink.clone());
        tokio::pin!(alive);
        let mut again = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.update(&mut sink).await?;
        self.record.up();
        info!(
            address = self.connector.options().address(),
            "listening for signals"
        );
        loop {
            tokio::select! {
                received = messages.next() => match received {
                    Some(messages) => messages.iter().for_each(|message| self.subscriptions.hear(message)),
                    None => return Err(gone("the server closed the connection")),
                },
                command = self.commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    self.apply(command);
                    if self.apply_waiting().is_break() {
                        return Ok(());
                    }
                    self.update(&mut sink).await?;
                }
                error = &mut alive => return Err(error),
                _ = again.tick() => {
                    self.subscriptions.catch_up();
                    self.update(&mut sink).await?;
                }
            }
        }
    }

    fn failed(&mut self, failure: &Failure<'_>) {
        let error = failure.error;
        self.retries = !failure.was_open;
        if failure.was_open {
            self.connector.report_failure();
            self.subscriptions.lose(&error.to_string());
        } else if error.kind() != ErrorKind::Unavailable {
            // A later attempt may succeed, but not soon.
            self.subscriptions.refuse_all(error);
        }
        self.record.down(error);
    }
}

/// Pings the server until it does not answer, and returns the error.
async fn ping_until_silent(mut sink: PubSubSink) -> Error {
    loop {
        sleep(PING_EVERY).await;
        if let Err(error) = in_time(sink.ping::<redis::Value>()).await {
            return error;
        }
    }
}

async fn in_time<T>(asking: impl Future<Output = redis::RedisResult<T>>) -> Result<T> {
    match timeout(ANSWER, asking).await {
        Ok(answer) => answer.map_err(error_of),
        Err(_) => Err(gone("redis did not answer in time")),
    }
}

fn gone(text: &str) -> Error {
    Error::new(ErrorKind::Unavailable, text)
}
