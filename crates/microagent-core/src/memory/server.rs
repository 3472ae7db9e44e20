//! What connections to one `memory://` server share, and the names of the shared ones.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use super::{broker::Queues, bus::Subscriptions, leases::HeldLeases};

use crate::driver::lock;

/// One server: all subscriptions, queues and leases.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) subscriptions: Subscriptions,
    pub(super) queues: Arc<Queues>,
    pub(super) leases: HeldLeases,
}

static NAMED: Mutex<Option<HashMap<String, Weak<Server>>>> = Mutex::new(None);

impl Server {
    /// The server of this name; a new one when no connection to it lives.
    pub(super) fn named(name: &str) -> Arc<Self> {
        let mut named = lock(&NAMED);
        let named = named.get_or_insert_default();
        if let Some(server) = named.get(name).and_then(Weak::upgrade) {
            return server;
        }
        let server = Arc::<Self>::default();
        named.retain(|_, server| server.strong_count() > 0);
        named.insert(name.to_owned(), Arc::downgrade(&server));
        server
    }
}
