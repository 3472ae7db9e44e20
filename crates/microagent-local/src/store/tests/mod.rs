//! The promises of every store, and those of the file and its writer.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tempfile::TempDir;

use super::{
    Body, Change, Headers, MemoryStore, MessageId, Rewrite, SqliteStore, Store, StoredLease,
};

mod behaviour;
mod crash;
mod durable;
mod twins;
mod writer;

/// A folder that goes away with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("queues.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.database()).unwrap()
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn body(text: &str) -> Body {
    Body {
        payload: Bytes::copy_from_slice(text.as_bytes()),
        headers: Headers::new(),
    }
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// A message that arrives in this queue with its id as its text.
fn insert(id: MessageId, queue: &str) -> Change {
    Change::Insert {
        id,
        queue: queue.into(),
        body: body(&id.to_string()),
        due: None,
    }
}

fn ids(store: &mut dyn Store) -> Vec<MessageId> {
    let messages = store.load().unwrap().messages;
    messages.iter().map(|message| message.id).collect()
}
