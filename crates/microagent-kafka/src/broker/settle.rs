//! The settlement of one delivery: its consumer's thread carries it out.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use microagent_core::{
    DeclareOptions, Error, Message, Result, Settle, SettleFuture, Settlement,
    driver::{Outage, Slot},
    header,
};
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::worker::Inbox;
use crate::{
    client::{Client, Outgoing},
    error::{closed, is_final},
    message::KafkaRecord,
};

/// The pause after a dead letter that the server refuses for good, before its message is delivered again.
const NOT_STORED: Duration = Duration::from_secs(10);

/// The fate of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Finish,
    Retry(Duration),
    Return,
}

/// One settlement.
pub(super) struct Settling {
    pub(super) partition: i32,
    pub(super) epoch: u64,
    pub(super) offset: i64,
    pub(super) fate: Fate,
    /// The place of the message. It is free when the thread has the settlement.
    pub(super) slot: Option<Slot>,
    pub(super) done: oneshot::Sender<Result<()>>,
}

impl Settling {
    pub(super) fn tell(self, result: Result<()>) {
        drop(self.slot);
        // Nobody needs to wait for a settlement.
        let _ = self.done.send(result);
    }
}

/// The driver's side of one delivery.
pub(super) struct Settler {
    pub(super) partition: i32,
    pub(super) epoch: u64,
    pub(super) offset: i64,
    pub(super) slot: Slot,
    pub(super) shared: Arc<Shared>,
}

/// The parts that the settlements of one consumer share.
pub(super) struct Shared {
    pub(super) inbox: Arc<Inbox>,
    pub(super) client: Arc<Client>,
    pub(super) runtime: Handle,
    /// Nothing is stored any longer.
    pub(super) closing: CancellationToken,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        let (done, end) = oneshot::channel();
        match settlement {
            Settlement::Ack => self.end(Fate::Finish, done),
            Settlement::Retry { after, .. } => self.end(Fate::Retry(after), done),
            Settlement::Return => self.end(Fate::Return, done),
            Settlement::DeadLetter {
                queue,
                reason,
                detail,
            } => {
                let now = SystemTime::now();
                let headers = header::of_dead_letter(message, reason, &detail, now);
                let letter = Letter {
                    queue,
                    message: message.clone(),
                    headers,
                };
                let runtime = self.shared.runtime.clone();
                runtime.spawn(async move {
                    match self.store(&letter).await {
                        Ok(()) => self.end(Fate::Finish, done),
                        Err(error) => {
                            // Another attempt at once would fail likewise.
                            self.end(Fate::Retry(NOT_STORED), oneshot::channel().0);
                            let _ = done.send(Err(error));
                        }
                    }
                });
            }
        }
        SettleFuture::waiting(end)
    }
}

/// A dead letter.
struct Letter {
    queue: String,
    message: Message,
    headers: Vec<(String, String)>,
}

impl Settler {
    fn end(self, fate: Fate, done: oneshot::Sender<Result<()>>) {
        let Self {
            partition,
            epoch,
            offset,
            slot,
            shared,
        } = self;
        let settling = Settling {
            partition,
            epoch,
            offset,
            fate,
            slot: Some(slot),
            done,
        };
        shared.inbox.settle(settling);
    }

    /// Stores a dead letter, however long that takes.
    async fn store(&self, letter: &Letter) -> Result<()> {
        let mut outage = Outage::default();
        loop {
            let storing = self.try_to_store(letter);
            let stored = tokio::select! {
                biased;
                stored = storing => stored,
                () = self.shared.closing.cancelled() => Err(closed()),
            };
            let error: Error = match stored {
                Err(error) if !is_final(&error) => error,
                stored => return stored,
            };
            if outage.is_news(&error) {
                warn!(queue = letter.queue, %error, "cannot store a dead letter; will keep retrying");
            }
            tokio::time::sleep(outage.pause()).await;
        }
    }

    async fn try_to_store(&self, letter: &Letter) -> Result<()> {
        let message = &letter.message;
        let record = message.native::<KafkaRecord>();
        let client = &self.shared.client;
        client
            .declare(&letter.queue, &DeclareOptions::default())
            .await?;
        let outgoing = Outgoing {
            topic: &letter.queue,
            key: record.and_then(|record| record.key.as_deref()),
            id: message.id(),
            headers: &letter.headers,
            raw_headers: record.map_or(&[], |record| &record.raw_headers),
            body: message.payload(),
        };
        client.send(&outgoing).await
    }
}
