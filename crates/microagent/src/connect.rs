//! From a DSN to a driver: the one place that knows which drivers there are and which are compiled in.

use std::sync::Arc;

use microagent_core::{
    Broker, BrokerOptions, Bus, BusOptions, Declarations, Error, ErrorKind, MemoryBroker,
    MemoryBus, QueueBroker, Result, SignalBus,
};

/// Connecting by a DSN, for [`Bus`] and [`Broker`].
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
    /// What [`builder`](Self::builder) gives.
    type Builder;

    /// A connection with options, made by its `connect()`.
    fn builder(dsn: &str) -> Self::Builder;

    /// Connects with default options.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a DSN that cannot be used, [`ErrorKind::Refused`] for refused credentials. A
    /// server that is away is no error: the connection keeps trying, and `ready()` waits for it.
    fn connect(dsn: &str) -> impl Future<Output = Result<Self>> + Send;
}

impl Connect for Bus {
    type Builder = BusBuilder;

    fn builder(dsn: &str) -> BusBuilder {
        BusBuilder {
            dsn: dsn.to_owned(),
            options: BusOptions::default(),
        }
    }

    async fn connect(dsn: &str) -> Result<Self> {
        Self::builder(dsn).connect().await
    }
}

impl Connect for Broker {
    type Builder = BrokerBuilder;

    fn builder(dsn: &str) -> BrokerBuilder {
        BrokerBuilder {
            dsn: dsn.to_owned(),
            options: BrokerOptions::default(),
        }
    }

    async fn connect(dsn: &str) -> Result<Self> {
        Self::builder(dsn).connect().await
    }
}

/// A bus that is about to be connected.
#[derive(Clone, Debug)]
#[must_use = "a bus is connected by `connect()`"]
pub struct BusBuilder {
    dsn: String,
    options: BusOptions,
}

impl BusBuilder {
    /// The prefix of all channels [that of the declarations, else `PUBSUB`].
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options = self.options.prefix(prefix);
        self
    }

    /// The signals of the deployment, to look them up by name and to check what is sent.
    pub fn declarations(mut self, declarations: impl Into<Arc<Declarations>>) -> Self {
        self.options = self.options.declarations(declarations);
        self
    }

    /// Whether a payload that breaks its declaration is refused instead of warned of [false].
    pub fn strict(mut self, strict: bool) -> Self {
        self.options = self.options.strict(strict);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub async fn connect(self) -> Result<Bus> {
        Bus::with_options(connect_bus(&self.dsn).await?, self.options)
    }
}

/// A broker that is about to be connected.
#[derive(Clone, Debug)]
#[must_use = "a broker is connected by `connect()`"]
pub struct BrokerBuilder {
    dsn: String,
    options: BrokerOptions,
}

impl BrokerBuilder {
    /// The queues of the deployment, to look them up by name.
    pub fn declarations(mut self, declarations: impl Into<Arc<Declarations>>) -> Self {
        self.options = self.options.declarations(declarations);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub async fn connect(self) -> Result<Broker> {
        Ok(Broker::with_options(
            connect_broker(&self.dsn).await?,
            self.options,
        ))
    }
}

/// What a DSN is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A signal bus.
    Bus,
    /// A queue broker.
    Broker,
}

/// The schemes of DSNs whose drivers are compiled in.
///
/// ```
/// assert!(microagent::schemes().any(|scheme| scheme == "memory"));
/// ```
pub fn schemes() -> impl Iterator<Item = &'static str> {
    DRIVERS
        .iter()
        .filter(|driver| driver.compiled_in)
        .flat_map(|driver| driver.schemes)
        .copied()
}

/// Checks a DSN as far as that goes without a connection.
///
/// # Errors
/// [`ErrorKind::Configuration`], with what is wrong and what is allowed.
///
/// ```
/// use microagent::Role;
///
/// assert!(microagent::check_dsn("memory://", Role::Bus).is_ok());
/// let error = microagent::check_dsn("mail://", Role::Broker).unwrap_err();
/// assert!(error.to_string().contains("`mail://`"), "{error}");
/// ```
pub fn check_dsn(dsn: &str, role: Role) -> Result<()> {
    match driver_of(dsn, role)?.kind {
        Kind::Memory => microagent_core::MemoryOptions::parse(dsn).map(drop),
        #[cfg(feature = "local")]
        Kind::Local => microagent_local::LocalOptions::parse(dsn).map(drop),
        #[cfg(not(feature = "local"))]
        Kind::Local => Ok(()),
        #[cfg(feature = "redis")]
        Kind::Redis => microagent_redis::RedisOptions::parse(dsn).map(drop),
        #[cfg(not(feature = "redis"))]
        Kind::Redis => Ok(()),
    }
}

async fn connect_bus(dsn: &str) -> Result<Arc<dyn SignalBus>> {
    match driver_of(dsn, Role::Bus)?.kind {
        Kind::Memory => Ok(Arc::new(MemoryBus::open(
            &microagent_core::MemoryOptions::parse(dsn)?,
        ))),
        #[cfg(feature = "local")]
        Kind::Local => {
            let options = microagent_local::LocalOptions::parse(dsn)?;
            Ok(Arc::new(
                microagent_local::LocalBus::connect(&options).await?,
            ))
        }
        #[cfg(not(feature = "local"))]
        Kind::Local => Err(not_compiled_in(&LOCAL)),
        #[cfg(feature = "redis")]
        Kind::Redis => {
            let options = microagent_redis::RedisOptions::parse(dsn)?;
            Ok(Arc::new(
                microagent_redis::RedisBus::connect(&options).await?,
            ))
        }
        #[cfg(not(feature = "redis"))]
        Kind::Redis => Err(not_compiled_in(&REDIS)),
    }
}

async fn connect_broker(dsn: &str) -> Result<Arc<dyn QueueBroker>> {
    match driver_of(dsn, Role::Broker)?.kind {
        Kind::Memory => Ok(Arc::new(MemoryBroker::open(
            &microagent_core::MemoryOptions::parse(dsn)?,
        ))),
        #[cfg(feature = "local")]
        Kind::Local => {
            let options = microagent_local::LocalOptions::parse(dsn)?;
            Ok(Arc::new(
                microagent_local::LocalBroker::connect(&options).await?,
            ))
        }
        #[cfg(not(feature = "local"))]
        Kind::Local => Err(not_compiled_in(&LOCAL)),
        #[cfg(feature = "redis")]
        Kind::Redis => {
            let options = microagent_redis::RedisOptions::parse(dsn)?;
            Ok(Arc::new(
                microagent_redis::RedisBroker::connect(&options).await?,
            ))
        }
        #[cfg(not(feature = "redis"))]
        Kind::Redis => Err(not_compiled_in(&REDIS)),
    }
}

/// A driver of this project.
struct Driver {
    kind: Kind,
    schemes: &'static [&'static str],
    /// How a DSN of it looks.
    shape: &'static str,
    feature: &'static str,
    compiled_in: bool,
    bus: bool,
    broker: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Memory,
    Local,
    Redis,
}

const MEMORY: Driver = Driver {
    kind: Kind::Memory,
    schemes: &["memory"],
    shape: "memory://",
    feature: "",
    compiled_in: true,
    bus: true,
    broker: true,
};

const LOCAL: Driver = Driver {
    kind: Kind::Local,
    schemes: &["local"],
    shape: "local:PATH",
    feature: "local",
    compiled_in: cfg!(feature = "local"),
    bus: true,
    broker: true,
};

const REDIS: Driver = Driver {
    kind: Kind::Redis,
    schemes: &[
        "redis",
        "rediss",
        "redis+unix",
        "redis+sentinel",
        "redis+cluster",
    ],
    shape: "redis://HOST",
    feature: "redis",
    compiled_in: cfg!(feature = "redis"),
    bus: true,
    broker: true,
};

const DRIVERS: &[Driver] = &[MEMORY, LOCAL, REDIS];

fn driver_of(dsn: &str, role: Role) -> Result<&'static Driver> {
    let Some((scheme, _)) = dsn.split_once(':') else {
        return Err(refused(format!(
            "`{dsn}` is no DSN: it has no scheme; {}",
            allowed(role)
        )));
    };
    let Some(driver) = DRIVERS
        .iter()
        .find(|driver| driver.schemes.contains(&scheme))
    else {
        return Err(refused(format!(
            "`{scheme}{}` is no driver; {}",
            if dsn.contains("://") { "://" } else { ":" },
            allowed(role)
        )));
    };
    if !driver.compiled_in {
        return Err(not_compiled_in(driver));
    }
    match (role, driver.bus, driver.broker) {
        (Role::Bus, false, _) => Err(refused(format!(
            "`{scheme}` carries no signals; {}",
            allowed(role)
        ))),
        (Role::Broker, _, false) => Err(refused(format!(
            "`{scheme}` has no queues; {}",
            allowed(role)
        ))),
        _ => Ok(driver),
    }
}

fn not_compiled_in(driver: &Driver) -> Error {
    refused(format!(
        "the driver of `{}` is not compiled in: switch on the feature `{}` of the crate `microagent`",
        driver.shape, driver.feature
    ))
}

fn allowed(role: Role) -> String {
    let shapes: Vec<_> = DRIVERS
        .iter()
        .filter(|driver| driver.compiled_in)
        .filter(|driver| {
            if role == Role::Bus {
                driver.bus
            } else {
                driver.broker
            }
        })
        .map(|driver| format!("`{}`", driver.shape))
        .collect();
    format!("allowed here are {}", shapes.join(", "))
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Configuration, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_is_a_bus_and_a_broker_or_its_feature_is_named() {
        let dsns = [
            "redis://localhost/7",
            "rediss://localhost",
            "redis+unix:///run/redis.sock?db=7",
            "redis+sentinel://one,two/main/7",
            "redis+cluster://one,two",
        ];
        for (dsn, role) in dsns
            .map(|dsn| [(dsn, Role::Bus), (dsn, Role::Broker)])
            .concat()
        {
            let checked = check_dsn(dsn, role);
            assert_eq!(checked.is_ok(), cfg!(feature = "redis"), "{checked:?}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("the feature `redis`"), "{error}");
            }
        }
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn what_a_dsn_asks_of_redis_in_vain_is_told_before_anything_is_sent() {
        let refused = Bus::connect("redis://localhost/seven").await.map(drop);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("seven"), "{error}");
    }
}
