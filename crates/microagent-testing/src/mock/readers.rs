//! The current readers of a mock: the subscriptions of the bus, the consumers of the broker.
//!
//! The mock decides which reader gets which item.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::Stream;
use microagent_core::driver::lock;
use tokio::sync::mpsc;

/// The readers of a mock, of all its connections.
pub(super) struct Readers<T>(Arc<All<T>>);

struct All<T> {
    entries: Mutex<Vec<Entry<T>>>,
    last_id: AtomicU64,
}

/// The sending end of one reader.
pub(super) struct Entry<T> {
    id: u64,
    connection: u64,
    /// The pattern of a subscription, the queue of a consumer.
    pub(super) source: String,
    mailbox: mpsc::UnboundedSender<T>,
}

impl<T> Default for Readers<T> {
    fn default() -> Self {
        Self(Arc::new(All {
            entries: Mutex::default(),
            last_id: AtomicU64::default(),
        }))
    }
}

impl<T> Readers<T> {
    /// Returns a number for a connection or a reader that no other one has.
    pub(super) fn new_id(&self) -> u64 {
        self.0.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a reader.
    pub(super) fn add(&self, connection: u64, source: &str) -> Reader<T> {
        let (mailbox, items) = mpsc::unbounded_channel();
        let id = self.new_id();
        self.entries().push(Entry {
            id,
            connection,
            source: source.to_owned(),
            mailbox,
        });
        let readers = Self(Arc::clone(&self.0));
        Reader { readers, id, items }
    }

    /// Returns the current readers, in the order in which they were added.
    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry<T>>> {
        lock(&self.0.entries)
    }

    /// Ends the readers of a connection.
    pub(super) fn end(&self, connection: u64) {
        self.entries()
            .retain(|entry| entry.connection != connection);
    }
}

impl<T> Entry<T> {
    /// Sends an item to the reader. If the reader is gone, the item is dropped.
    pub(super) fn send(&self, item: T) {
        drop(self.mailbox.send(item));
    }
}

/// The receiving end. Dropping it removes the reader.
pub(super) struct Reader<T> {
    readers: Readers<T>,
    id: u64,
    items: mpsc::UnboundedReceiver<T>,
}

impl<T> Stream for Reader<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.items.poll_recv(cx)
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.readers.entries().retain(|entry| entry.id != self.id);
        // Items that were not read are dropped after this, without the lock: a delivery settles when it is dropped.
    }
}
