//! Connecting by a DSN: the constructors of the handles, and their builders.
//!
//! The module `driver` finds the driver of a DSN.

mod driver;

use std::{fmt, sync::Arc};

use microagent_core::{Broker, BrokerOptions, Bus, BusOptions, Declarations, Result};

pub use self::driver::{Role, broker_caps, check_dsn, schemes};

/// Constructors of [`Bus`] and [`Broker`] from a DSN.
///
/// ```
/// use microagent::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let bus = Bus::connect("memory://").await?;
/// let other = Bus::builder("memory://").prefix("SHOP").connect().await?;
/// assert_eq!((bus.prefix(), other.prefix()), ("PUBSUB", "SHOP"));
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
pub trait Connect: Sized {
    /// The type that [`builder`](Self::builder) returns.
    type Builder;

    /// Creates a builder for a connection with options; its `connect()` connects.
    fn builder(dsn: &str) -> Self::Builder;

    /// Connects with default options.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](microagent_core::ErrorKind::Configuration) for a DSN that cannot be used, [`ErrorKind::Refused`](microagent_core::ErrorKind::Refused) for refused credentials. A
    /// server that cannot be reached is not an error: the driver keeps trying to connect, and `ready()` waits for it.
    fn connect(dsn: &str) -> impl Future<Output = Result<Self>> + Send;
}

impl Connect for Bus {
    type Builder = BusBuilder;

    fn builder(dsn: &str) -> BusBuilder {
        BusBuilder {
            dsn: Dsn(dsn.to_owned()),
            options: BusOptions::default().host(host_name()),
        }
    }

    async fn connect(dsn: &str) -> Result<Self> {
        Self::builder(dsn).connect().await
    }
}

/// Returns the name of this machine; empty if the system does not say it.
fn host_name() -> String {
    let name = nix::unistd::gethostname();
    name.map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

impl Connect for Broker {
    type Builder = BrokerBuilder;

    fn builder(dsn: &str) -> BrokerBuilder {
        BrokerBuilder {
            dsn: Dsn(dsn.to_owned()),
            options: BrokerOptions::default(),
        }
    }

    async fn connect(dsn: &str) -> Result<Self> {
        Self::builder(dsn).connect().await
    }
}

/// The options of a bus that is not yet connected.
///
/// ```
/// use microagent::{declarations, prelude::*};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let declared = declarations::load_stuff(&format!("file://{path}")).await?;
/// let bus = Bus::builder("memory://").prefix("SHOP").declarations(declared).strict(true).connect().await?;
///
/// let misspelt = bus.signal("user_created")?.send("shell", &json!({"usr_id": 7})).await;
/// assert_eq!(misspelt.unwrap_err().kind(), microagent::ErrorKind::InvalidPayload);
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a bus is connected by `connect()`"]
pub struct BusBuilder {
    dsn: Dsn,
    options: BusOptions,
}

impl BusBuilder {
    /// Sets the prefix of all channels. Default: that of the declarations, or `PUBSUB`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options = self.options.prefix(prefix);
        self
    }

    /// Sets the signals of the deployment, to find them by name and to check payloads.
    pub fn declarations(mut self, declarations: impl Into<Arc<Declarations>>) -> Self {
        self.options = self.options.declarations(declarations);
        self
    }

    /// Rejects a payload that does not match its declaration, instead of logging a warning. Default: false.
    pub fn strict(mut self, strict: bool) -> Self {
        self.options = self.options.strict(strict);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub async fn connect(self) -> Result<Bus> {
        let driver = driver::bus(&self.dsn.0).await?;
        Bus::with_options(driver, self.options)
    }
}

/// The options of a broker that is not yet connected.
///
/// ```
/// use microagent::{declarations, prelude::*};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let declared = declarations::load_stuff(&format!("file://{path}")).await?;
/// let broker = Broker::builder("memory://").declarations(declared).connect().await?;
///
/// broker.queue("mailer")?.send(&json!({"text": "hi"})).await?;
/// assert_eq!(broker.length(Queue::new("mailer")).await?, 1);
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a broker is connected by `connect()`"]
pub struct BrokerBuilder {
    dsn: Dsn,
    options: BrokerOptions,
}

impl BrokerBuilder {
    /// Sets the queues of the deployment, to find them by name.
    pub fn declarations(mut self, declarations: impl Into<Arc<Declarations>>) -> Self {
        self.options = self.options.declarations(declarations);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub async fn connect(self) -> Result<Broker> {
        let driver = driver::broker(&self.dsn.0).await?;
        Ok(Broker::with_options(driver, self.options))
    }
}

/// A DSN, which may contain a password: its debug output shows only the scheme.
#[derive(Clone)]
struct Dsn(String);

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = microagent_core::driver::Dsn::scheme_of(&self.0).unwrap_or_default();
        write!(f, "{scheme}:…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_dsn_is_not_shown() {
        let dsn = "redis://shop:s3cret@db.example/7";
        let shown = format!("{:?} {:?}", Bus::builder(dsn), Broker::builder(dsn));
        assert!(
            shown.contains("redis:…") && !shown.contains("s3cret"),
            "{shown}"
        );
        let shown = format!("{:?}", Bus::builder("s3cret@db.example:6379"));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
