//! The drivers, by the scheme of a DSN. Only this module knows which drivers there are, and which are compiled in.

use std::{pin::Pin, sync::Arc};

#[cfg(feature = "amqp")]
use microagent_amqp::{AmqpBroker, AmqpOptions};
use microagent_core::{
    Caps, Error, ErrorKind, MemoryBroker, MemoryBus, MemoryOptions, QueueBroker, Result, SignalBus,
    driver::{Dsn, redacted},
};
#[cfg(feature = "kafka")]
use microagent_kafka::{KafkaBroker, KafkaOptions};
#[cfg(feature = "local")]
use microagent_local::{LocalBroker, LocalBus, LocalOptions};
#[cfg(feature = "redis")]
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_schema::suggest::available;

/// The use of a DSN: for a bus or for a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A signal bus.
    Bus,
    /// A queue broker.
    Broker,
}

/// Returns the schemes of the drivers that are compiled in.
///
/// ```
/// assert!(microagent::driver::schemes().any(|scheme| scheme == "memory"));
/// ```
pub fn schemes() -> impl Iterator<Item = &'static str> {
    compiled_in(DRIVERS)
        .flat_map(|driver| driver.schemes)
        .copied()
}

/// Checks a DSN without connecting.
///
/// # Errors
/// [`ErrorKind::Configuration`], with the reason and the available drivers.
///
/// ```
/// use microagent::driver::Role;
///
/// assert!(microagent::driver::check_dsn("memory://", Role::Bus).is_ok());
/// let error = microagent::driver::check_dsn("mail://", Role::Broker).unwrap_err();
/// assert!(error.to_string().contains("`mail://`"), "{error}");
/// ```
pub fn check_dsn(dsn: &str, role: Role) -> Result<()> {
    check_among(DRIVERS, dsn, role)
}

/// Returns the capabilities of the broker of a DSN, without connecting. A test passes them to `BrokerMock::with_caps`.
///
/// # Errors
/// As [`check_dsn`].
///
/// ```
/// let caps = microagent::driver::broker_caps("memory://")?;
/// assert!(caps.headers && !caps.durable);
/// # Ok::<(), microagent::Error>(())
/// ```
pub fn broker_caps(dsn: &str) -> Result<Caps> {
    check_dsn(dsn, Role::Broker)?;
    match find(DRIVERS, dsn, Role::Broker)?.caps {
        Some(caps) => Ok(caps()),
        None => Err(lacks_role(DRIVERS, dsn, Role::Broker)),
    }
}

/// Connects to the bus of a DSN.
pub(super) async fn bus(dsn: &str) -> Result<Arc<dyn SignalBus>> {
    match find(DRIVERS, dsn, Role::Bus)?.bus {
        Some(connect) => connect(dsn).await,
        None => Err(lacks_role(DRIVERS, dsn, Role::Bus)),
    }
}

/// Connects to the broker of a DSN.
pub(super) async fn broker(dsn: &str) -> Result<Arc<dyn QueueBroker>> {
    match find(DRIVERS, dsn, Role::Broker)?.broker {
        Some(connect) => connect(dsn).await,
        None => Err(lacks_role(DRIVERS, dsn, Role::Broker)),
    }
}

fn check_among(drivers: &[Driver], dsn: &str, role: Role) -> Result<()> {
    let code = find(drivers, dsn, role)?;
    if !code.has(role) {
        return Err(lacks_role(drivers, dsn, role));
    }
    (code.check)(dsn)
}

/// Finds the code of the driver of a DSN.
fn find<'a>(drivers: &'a [Driver], dsn: &str, role: Role) -> Result<&'a Code> {
    // Text before a colon that is not a scheme may be a user name or a password.
    let Some(scheme) = Dsn::scheme_of(dsn) else {
        return Err(refused(format!(
            "invalid DSN `{}`: expected a scheme ({})",
            redacted(dsn),
            available_to(drivers, role)
        )));
    };
    let mut drivers_of_scheme = drivers
        .iter()
        .filter(|driver| driver.schemes.contains(&scheme));
    let Some(driver) = drivers_of_scheme.next() else {
        let rest = &dsn[scheme.len() + 1..];
        let slashes = if rest.starts_with("//") { "//" } else { "" };
        return Err(refused(format!(
            "unknown driver `{scheme}:{slashes}` ({})",
            available_to(drivers, role)
        )));
    };
    driver.code.as_ref().ok_or_else(|| {
        refused(format!(
            "the driver of `{}` is not compiled in: switch on the feature `{}` of the crate `microagent`",
            driver.shape, driver.feature
        ))
    })
}

fn lacks_role(drivers: &[Driver], dsn: &str, role: Role) -> Error {
    let missing = match role {
        Role::Bus => "signals",
        Role::Broker => "queues",
    };
    let scheme = Dsn::scheme_of(dsn).unwrap_or_default();
    refused(format!(
        "{missing} are not supported by `{scheme}` ({})",
        available_to(drivers, role)
    ))
}

/// A driver of this project.
struct Driver {
    schemes: &'static [&'static str],
    /// The form of its DSNs, for errors.
    shape: &'static str,
    feature: &'static str,
    /// Absent if the feature is off.
    code: Option<Code>,
}

/// The functions of a driver that is compiled in. A driver with one role has none for the other.
struct Code {
    check: fn(&str) -> Result<()>,
    bus: Option<Connect<dyn SignalBus>>,
    broker: Option<Connect<dyn QueueBroker>>,
    /// The capabilities of its broker.
    caps: Option<fn() -> Caps>,
}

/// Connects to the server of a DSN.
type Connect<T> = fn(&str) -> Connecting<T>;

type Connecting<T> = Pin<Box<dyn Future<Output = Result<Arc<T>>> + Send>>;

impl Code {
    fn has(&self, role: Role) -> bool {
        match role {
            Role::Bus => self.bus.is_some(),
            Role::Broker => self.broker.is_some(),
        }
    }
}

const DRIVERS: &[Driver] = &[
    Driver {
        schemes: &["memory"],
        shape: "memory://",
        feature: "",
        code: Some(MEMORY),
    },
    Driver {
        schemes: &["local"],
        shape: "local:PATH",
        feature: "local",
        #[cfg(feature = "local")]
        code: Some(LOCAL),
        #[cfg(not(feature = "local"))]
        code: None,
    },
    Driver {
        schemes: &[
            "redis",
            "rediss",
            "redis+unix",
            "redis+sentinel",
            "redis+cluster",
        ],
        shape: "redis://HOST",
        feature: "redis",
        #[cfg(feature = "redis")]
        code: Some(REDIS),
        #[cfg(not(feature = "redis"))]
        code: None,
    },
    Driver {
        schemes: &["amqp", "amqps"],
        shape: "amqp://HOST",
        feature: "amqp",
        #[cfg(feature = "amqp")]
        code: Some(AMQP),
        #[cfg(not(feature = "amqp"))]
        code: None,
    },
    Driver {
        schemes: &["kafka", "kafkas"],
        shape: "kafka://HOST",
        feature: "kafka",
        #[cfg(feature = "kafka")]
        code: Some(KAFKA),
        #[cfg(not(feature = "kafka"))]
        code: None,
    },
];

const MEMORY: Code = Code {
    check: |dsn| MemoryOptions::parse(dsn).map(drop),
    bus: Some(|dsn| {
        let options = MemoryOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(MemoryBus::open(&options?)) as _) })
    }),
    broker: Some(|dsn| {
        let options = MemoryOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(MemoryBroker::open(&options?)) as _) })
    }),
    caps: Some(MemoryBroker::capabilities),
};

#[cfg(feature = "local")]
const LOCAL: Code = Code {
    check: |dsn| LocalOptions::parse(dsn).map(drop),
    bus: Some(|dsn| {
        let options = LocalOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(LocalBus::connect(&options?).await?) as _) })
    }),
    broker: Some(|dsn| {
        let options = LocalOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(LocalBroker::connect(&options?).await?) as _) })
    }),
    caps: Some(LocalBroker::capabilities),
};

#[cfg(feature = "redis")]
const REDIS: Code = Code {
    check: |dsn| RedisOptions::parse(dsn).map(drop),
    bus: Some(|dsn| {
        let options = RedisOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(RedisBus::connect(&options?).await?) as _) })
    }),
    broker: Some(|dsn| {
        let options = RedisOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(RedisBroker::connect(&options?).await?) as _) })
    }),
    caps: Some(RedisBroker::capabilities),
};

#[cfg(feature = "amqp")]
const AMQP: Code = Code {
    check: |dsn| AmqpOptions::parse(dsn).map(drop),
    bus: None,
    broker: Some(|dsn| {
        let options = AmqpOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(AmqpBroker::connect(&options?).await?) as _) })
    }),
    caps: Some(AmqpBroker::capabilities),
};

#[cfg(feature = "kafka")]
const KAFKA: Code = Code {
    check: |dsn| KafkaOptions::parse(dsn).map(drop),
    bus: None,
    broker: Some(|dsn| {
        let options = KafkaOptions::parse(dsn);
        Box::pin(async move { Ok(Arc::new(KafkaBroker::connect(&options?).await?) as _) })
    }),
    caps: Some(KafkaBroker::capabilities),
};

fn compiled_in(drivers: &[Driver]) -> impl Iterator<Item = &Driver> {
    drivers.iter().filter(|driver| driver.code.is_some())
}

/// Returns the list of the drivers that have this role, as it ends an error text.
fn available_to(drivers: &[Driver], role: Role) -> String {
    let shapes: Vec<_> = compiled_in(drivers)
        .filter(|driver| driver.code.as_ref().is_some_and(|code| code.has(role)))
        .map(|driver| driver.shape)
        .collect();
    available(&shapes)
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Configuration, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "redis")]
    use crate::{Bus, Connect};

    /// The driver of memory, one that is not compiled in, and one that has queues only.
    const SOME: &[Driver] = &[
        Driver {
            schemes: &["memory"],
            shape: "memory://",
            feature: "",
            code: Some(MEMORY),
        },
        Driver {
            schemes: &["carrier", "carriers"],
            shape: "carrier:PLACE",
            feature: "carrier",
            code: None,
        },
        Driver {
            schemes: &["queues"],
            shape: "queues://HOST",
            feature: "queues",
            code: Some(Code {
                check: |_| Ok(()),
                bus: None,
                ..MEMORY
            }),
        },
    ];

    /// Returns the reason for which these drivers reject a DSN.
    fn why(dsn: &str, role: Role) -> Option<String> {
        let error = check_among(SOME, dsn, role).err()?;
        assert_eq!(error.kind(), ErrorKind::Configuration);
        Some(error.to_string())
    }

    #[test]
    fn a_driver_that_is_not_compiled_in_names_its_feature() {
        let text = "the driver of `carrier:PLACE` is not compiled in: switch on the feature `carrier` of the crate `microagent`";
        for dsn in ["carrier:/roof", "carriers://roof"] {
            for role in [Role::Bus, Role::Broker] {
                assert_eq!(why(dsn, role).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn a_driver_without_the_role_is_an_error_with_the_list_of_drivers() {
        assert_eq!(why("queues://main", Role::Broker), None);
        assert_eq!(
            why("queues://main", Role::Bus).as_deref(),
            Some("signals are not supported by `queues` (available: `memory://`)")
        );
    }

    #[test]
    fn an_unknown_driver_is_an_error_with_the_list_of_drivers() {
        for (dsn, expected) in [
            ("nonsense", "invalid DSN `nonsense`: expected a scheme"),
            ("mail://x", "unknown driver `mail://`"),
            ("mail:x", "unknown driver `mail:`"),
            (
                "s3cr3t@host:6379",
                "invalid DSN `***@host:6379`: expected a scheme",
            ),
        ] {
            let expected = format!("{expected} (available: `memory://`, `queues://HOST`)");
            assert_eq!(why(dsn, Role::Broker), Some(expected));
        }
    }

    #[test]
    fn redis_is_a_bus_and_a_broker_if_it_is_compiled_in() {
        let dsns = [
            "redis://localhost/7",
            "rediss://localhost",
            "redis+unix:///run/redis.sock?db=7",
            "redis+sentinel://one,two/main/7",
            "redis+cluster://one,two",
        ];
        for dsn in dsns {
            for role in [Role::Bus, Role::Broker] {
                let checked = check_dsn(dsn, role);
                assert_eq!(checked.is_ok(), cfg!(feature = "redis"), "{checked:?}");
            }
        }
    }

    #[test]
    fn a_rabbitmq_is_a_broker_where_it_is_compiled_in() {
        let dsn = "amqp://guest:guest@localhost:5672/";
        let checked = check_dsn(dsn, Role::Broker);
        assert_eq!(checked.is_ok(), cfg!(feature = "amqp"), "{checked:?}");
        let refused = check_dsn(dsn, Role::Bus).unwrap_err();
        let expected = if cfg!(feature = "amqp") {
            "signals are not supported by `amqp`"
        } else {
            "feature `amqp`"
        };
        assert!(refused.to_string().contains(expected), "{refused}");
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_kafka_over_tls_needs_a_feature_of_its_own() {
        let checked = check_dsn("kafkas://localhost", Role::Broker);
        assert_eq!(checked.is_ok(), cfg!(feature = "kafka-ssl"), "{checked:?}");
        if let Err(error) = checked {
            assert!(error.to_string().contains("`kafka-ssl`"), "{error}");
        }
    }

    #[test]
    fn a_kafka_is_a_broker_where_it_is_compiled_in() {
        let dsn = "kafka://localhost:9092";
        let checked = check_dsn(dsn, Role::Broker);
        assert_eq!(checked.is_ok(), cfg!(feature = "kafka"), "{checked:?}");
        let refused = check_dsn(dsn, Role::Bus).unwrap_err();
        let expected = if cfg!(feature = "kafka") {
            "signals are not supported by `kafka`"
        } else {
            "feature `kafka`"
        };
        assert!(refused.to_string().contains(expected), "{refused}");
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn an_invalid_redis_dsn_is_rejected_before_connecting() {
        let refused = Bus::connect("redis://localhost/seven").await.map(drop);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("seven"), "{error}");
    }
}
