//! `memory://`: a bus and a broker inside one process, for tests, examples and virtual time.
//!
//! Nothing survives the process. Timers follow tokio's clock, so paused time moves them. The times of failures come from
//! the machine's clock, or from the clock that was given to the connection.

mod broker;
mod bus;
mod leases;
mod server;

use std::sync::Arc;

use self::server::Server;
pub use self::{broker::MemoryBroker, bus::MemoryBus};
use crate::{Error, ErrorKind, Result, driver::redacted};

/// The options of a `memory:` DSN.
///
/// `memory://` is a separate server for each connection. `memory://NAME` is shared by all connections of the process
/// that use the name, for as long as one of these connections exists.
///
/// ```
/// use microagent_core::{MemoryBroker, MemoryOptions, Queue, QueueBroker};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let shop = MemoryOptions::parse("memory://shop")?;
/// let (one, other) = (MemoryBroker::open(&shop), MemoryBroker::open(&shop));
///
/// let mailer = Queue::new("mailer");
/// one.send(&mailer.clone().into(), "{}".into(), Default::default()).await?;
/// assert_eq!(other.length(&mailer).await?, 1);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// assert!(MemoryOptions::parse("memory:shop").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryOptions {
    name: Option<String>,
}

impl MemoryOptions {
    /// Parses a DSN.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the DSN is neither `memory://` nor `memory://NAME`.
    pub fn parse(dsn: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        match dsn.strip_prefix("memory://") {
            Some("") => Ok(Self { name: None }),
            Some(name) if name.chars().all(allowed) => Ok(Self {
                name: Some(name.to_owned()),
            }),
            _ => Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "invalid DSN `{}`: expected `memory://`, or `memory://NAME` with a name of letters, digits and `_-.`",
                    redacted(dsn)
                ),
            )),
        }
    }

    fn server(&self) -> Arc<Server> {
        match &self.name {
            Some(name) => Server::named(name),
            None => Arc::default(),
        }
    }

    fn address(&self) -> String {
        format!("memory://{}", self.name.as_deref().unwrap_or_default())
    }
}
