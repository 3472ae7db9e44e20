//! The table of subscriptions: which patterns are live, where their messages go, and what is told of gaps.
//!
//! It sends nothing to the server; [`subscriber`](super::subscriber) does, and tells it what came of it.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashMap;
use microagent_core::{Error, Mailbox};
use redis::{FromRedisValue, Msg, ParsingError, Value};
use smol_str::SmolStr;

/// All subscriptions of a bus, by the server's globs and the names of single channels.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<Arc<str>, Entry>);

#[derive(Debug, Default)]
struct Entry {
    /// The server has confirmed it on this connection.
    live: bool,
    listeners: Vec<Listener>,
}

/// The way to one stream.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) id: u64,
    pub(super) mailbox: Mailbox,
}

/// The glob of a message. Each message has one, and most are short enough not to be allocated.
struct Glob(SmolStr);

impl FromRedisValue for Glob {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Self::from_redis_value_ref(&value)
    }

    fn from_redis_value_ref(value: &Value) -> Result<Self, ParsingError> {
        let Value::BulkString(bytes) = value else {
            return Err("invalid pattern of a message: expected a string".into());
        };
        Ok(Self(str::from_utf8(bytes)?.into()))
    }
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, glob: Arc<str>, mut listener: Listener) {
        let entry = self.0.entry(glob).or_default();
        if entry.live {
            listener.mailbox.go_live();
        }
        entry.listeners.push(listener);
    }

    /// Forgets one stream.
    pub(super) fn remove(&mut self, glob: &str, id: u64) {
        if let Some(entry) = self.0.get_mut(glob) {
            entry.listeners.retain(|listener| listener.id != id);
        }
    }

    /// Forgets the globs that no stream is left of, and gives those that the server still knows.
    pub(super) fn extract_unheard(&mut self) -> Vec<Arc<str>> {
        let unheard = self.0.extract_if(|_, entry| entry.listeners.is_empty());
        unheard
            .filter(|(_, entry)| entry.live)
            .map(|(glob, _)| glob)
            .collect()
    }

    /// The globs that the server is to be asked for.
    pub(super) fn missing(&self) -> Vec<Arc<str>> {
        let missing = self.0.iter().filter(|(_, entry)| !entry.live);
        missing.map(|(glob, _)| Arc::clone(glob)).collect()
    }

    /// The server has confirmed this one.
    pub(super) fn go_live(&mut self, glob: &str) {
        if let Some(entry) = self.0.get_mut(glob) {
            entry.live = true;
            entry.mailboxes().for_each(Mailbox::go_live);
        }
    }

    /// The server has refused this one: whoever waits for it for the first time is told and waits no more.
    pub(super) fn refuse(&mut self, glob: &str, error: &Error) {
        if let Some(entry) = self.0.get_mut(glob) {
            entry.refuse(error);
        }
    }

    /// The server has refused all.
    pub(super) fn refuse_all(&mut self, error: &Error) {
        self.0.values_mut().for_each(|entry| entry.refuse(error));
    }

    /// The connection is lost.
    pub(super) fn lose(&mut self, reason: &str) {
        for entry in self.0.values_mut() {
            entry.live = false;
            entry.mailboxes().for_each(|mailbox| mailbox.lose(reason));
        }
    }

    /// A message for all streams of the glob by which it came.
    pub(super) fn hear(&mut self, message: &Msg) {
        let entry = if message.from_pattern() {
            let glob: redis::RedisResult<Glob> = message.get_pattern();
            glob.ok().and_then(|glob| self.0.get_mut(&*glob.0))
        } else {
            self.0.get_mut(message.get_channel_name())
        };
        let Some(entry) = entry else { return };
        let Some((last, others)) = entry.listeners.split_last_mut() else {
            return;
        };
        let payload = Bytes::copy_from_slice(message.get_payload_bytes());
        // The first clone of a payload allocates, and most patterns have one stream.
        for listener in others {
            let mailbox = &mut listener.mailbox;
            mailbox.hear(message.get_channel_name(), payload.clone());
        }
        last.mailbox.hear(message.get_channel_name(), payload);
    }

    /// Tells those who read again what they missed.
    pub(super) fn catch_up(&mut self) {
        let mailboxes = self.0.values_mut().flat_map(Entry::mailboxes);
        mailboxes.for_each(Mailbox::catch_up);
    }
}

impl Entry {
    fn mailboxes(&mut self) -> impl Iterator<Item = &mut Mailbox> {
        let listeners = self.listeners.iter_mut();
        listeners.map(|listener| &mut listener.mailbox)
    }

    fn refuse(&mut self, error: &Error) {
        let new = |listener: &mut Listener| listener.mailbox.is_new();
        for refused in self.listeners.extract_if(.., new) {
            refused.mailbox.refuse(error.without_source());
        }
    }
}
