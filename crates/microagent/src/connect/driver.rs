//! From a DSN to a driver: the one place that knows which drivers there are and which are compiled in.

use std::sync::Arc;

use microagent_core::{
    Error, ErrorKind, MemoryBroker, MemoryBus, MemoryOptions, QueueBroker, Result, SignalBus,
};
#[cfg(feature = "local")]
use microagent_local::{LocalBroker, LocalBus, LocalOptions};
#[cfg(feature = "redis")]
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};

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
    compiled_in(DRIVERS)
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
    Target::of(dsn, role).map(drop)
}

/// A DSN that was read: its driver, and what it says to it.
pub(super) enum Target {
    Memory(MemoryOptions),
    #[cfg(feature = "local")]
    Local(LocalOptions),
    #[cfg(feature = "redis")]
    Redis(RedisOptions),
}

impl Target {
    pub(super) fn of(dsn: &str, role: Role) -> Result<Self> {
        Self::among(DRIVERS, dsn, role)
    }

    fn among(drivers: &[Driver], dsn: &str, role: Role) -> Result<Self> {
        let allowed = || allowed(drivers, role);
        let Some((scheme, _)) = dsn.split_once(':') else {
            let text = format!("`{dsn}` is no DSN: it has no scheme; {}", allowed());
            return Err(refused(text));
        };
        let known = drivers
            .iter()
            .find(|driver| driver.schemes.contains(&scheme));
        let Some(driver) = known else {
            let slashes = if dsn.contains("://") { "//" } else { "" };
            let text = format!("`{scheme}:{slashes}` is no driver; {}", allowed());
            return Err(refused(text));
        };
        let Some(read) = driver.read else {
            return Err(refused(format!(
                "the driver of `{}` is not compiled in: switch on the feature `{}` of the crate `microagent`",
                driver.shape, driver.feature
            )));
        };
        if !driver.roles.contains(&role) {
            let missing = match role {
                Role::Bus => "carries no signals",
                Role::Broker => "has no queues",
            };
            return Err(refused(format!("`{scheme}` {missing}; {}", allowed())));
        }
        read(dsn)
    }

    pub(super) async fn bus(self) -> Result<Arc<dyn SignalBus>> {
        Ok(match self {
            Self::Memory(options) => Arc::new(MemoryBus::open(&options)),
            #[cfg(feature = "local")]
            Self::Local(options) => Arc::new(LocalBus::connect(&options).await?),
            #[cfg(feature = "redis")]
            Self::Redis(options) => Arc::new(RedisBus::connect(&options).await?),
        })
    }

    pub(super) async fn broker(self) -> Result<Arc<dyn QueueBroker>> {
        Ok(match self {
            Self::Memory(options) => Arc::new(MemoryBroker::open(&options)),
            #[cfg(feature = "local")]
            Self::Local(options) => Arc::new(LocalBroker::connect(&options).await?),
            #[cfg(feature = "redis")]
            Self::Redis(options) => Arc::new(RedisBroker::connect(&options).await?),
        })
    }
}

/// A driver of this project.
struct Driver {
    schemes: &'static [&'static str],
    /// How a DSN of it looks.
    shape: &'static str,
    feature: &'static str,
    roles: &'static [Role],
    /// Reads a DSN of it; none where the feature is off.
    read: Option<fn(&str) -> Result<Target>>,
}

const DRIVERS: &[Driver] = &[
    Driver {
        schemes: &["memory"],
        shape: "memory://",
        feature: "",
        roles: &[Role::Bus, Role::Broker],
        read: Some(|dsn| MemoryOptions::parse(dsn).map(Target::Memory)),
    },
    Driver {
        schemes: &["local"],
        shape: "local:PATH",
        feature: "local",
        roles: &[Role::Bus, Role::Broker],
        #[cfg(feature = "local")]
        read: Some(|dsn| LocalOptions::parse(dsn).map(Target::Local)),
        #[cfg(not(feature = "local"))]
        read: None,
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
        roles: &[Role::Bus, Role::Broker],
        #[cfg(feature = "redis")]
        read: Some(|dsn| RedisOptions::parse(dsn).map(Target::Redis)),
        #[cfg(not(feature = "redis"))]
        read: None,
    },
];

fn compiled_in(drivers: &[Driver]) -> impl Iterator<Item = &Driver> {
    drivers.iter().filter(|driver| driver.read.is_some())
}

fn allowed(drivers: &[Driver], role: Role) -> String {
    let shapes: Vec<_> = compiled_in(drivers)
        .filter(|driver| driver.roles.contains(&role))
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
    #[cfg(feature = "redis")]
    use crate::{Bus, Connect};

    /// Memory as it is, one driver that is not compiled in, and one that has queues only.
    const SOME: &[Driver] = &[
        Driver {
            schemes: &["memory"],
            shape: "memory://",
            feature: "",
            roles: &[Role::Bus, Role::Broker],
            read: Some(|dsn| MemoryOptions::parse(dsn).map(Target::Memory)),
        },
        Driver {
            schemes: &["pigeon", "pigeons"],
            shape: "pigeon:LOFT",
            feature: "pigeon",
            roles: &[Role::Bus, Role::Broker],
            read: None,
        },
        Driver {
            schemes: &["post"],
            shape: "post://OFFICE",
            feature: "post",
            roles: &[Role::Broker],
            read: Some(|_| Ok(Target::Memory(MemoryOptions::default()))),
        },
    ];

    /// Why a DSN is refused among them.
    fn why(dsn: &str, role: Role) -> Option<String> {
        let error = Target::among(SOME, dsn, role).err()?;
        assert_eq!(error.kind(), ErrorKind::Configuration);
        Some(error.to_string())
    }

    #[test]
    fn a_driver_that_is_not_compiled_in_names_its_feature() {
        let text = "the driver of `pigeon:LOFT` is not compiled in: switch on the feature `pigeon` of the crate `microagent`";
        for dsn in ["pigeon:/roof", "pigeons://roof"] {
            for role in [Role::Bus, Role::Broker] {
                assert_eq!(why(dsn, role).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn a_driver_that_cannot_do_it_says_what_it_lacks_and_what_is_allowed() {
        assert_eq!(why("post://main", Role::Broker), None);
        assert_eq!(
            why("post://main", Role::Bus).as_deref(),
            Some("`post` carries no signals; allowed here are `memory://`")
        );
    }

    #[test]
    fn what_is_no_driver_is_told_with_those_that_are_there() {
        for (dsn, expected) in [
            ("post", "`post` is no DSN: it has no scheme"),
            ("mail://x", "`mail://` is no driver"),
            ("mail:x", "`mail:` is no driver"),
        ] {
            let expected = format!("{expected}; allowed here are `memory://`, `post://OFFICE`");
            assert_eq!(why(dsn, Role::Broker), Some(expected));
        }
    }

    #[test]
    fn a_redis_is_a_bus_and_a_broker_where_it_is_compiled_in() {
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

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn what_a_dsn_asks_of_redis_in_vain_is_told_before_anything_is_sent() {
        let refused = Bus::connect("redis://localhost/seven").await.map(drop);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("seven"), "{error}");
    }
}
