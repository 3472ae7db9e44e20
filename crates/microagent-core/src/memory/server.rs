//! The state that connections to one `memory://` server share, and the names of shared servers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use super::{broker::Queues, bus::Subscriptions, leases::HeldLeases};

use crate::driver::lock;

/// One server with all its subscriptions, queues and leases.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) subscriptions: Subscriptions,
    pub(super) queues: Arc<Queues>,
    pub(super) leases: HeldLeases,
}

static NAMED: Mutex<Option<HashMap<String, Weak<Server>>>> = Mutex::new(None);

impl Server {
    /// Returns the server of this name. Creates a new server if no connection to the old one exists.
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
