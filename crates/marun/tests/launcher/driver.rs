//! The drivers on which the tools of the command line are tested: the same test bodies on each.

use std::any::Any;

#[cfg(feature = "redis")]
use {crate::services::go_without, microagent_core::ErrorKind, microagent_testing::RedisServer};

/// A bus and a broker of a test's own.
pub(crate) struct Driver {
    pub(crate) dsn: String,
    /// What ends with the test: a folder, or a server.
    _home: Box<dyn Any>,
}

impl Driver {
    /// The embedded default, in a folder that is there already.
    pub(crate) fn local(_test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            dsn: format!("local:{}", folder.path().display()),
            _home: Box::new(folder),
        })
    }

    /// A server of the test's own; none where `SKIP_SERVICES` says to go without.
    #[cfg(feature = "redis")]
    pub(crate) fn redis(test: &str) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        match runtime.block_on(RedisServer::start()) {
            Ok(server) => Some(Self {
                dsn: server.dsn(),
                _home: Box::new(server),
            }),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                go_without("redis", test, "there is no Redis");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// How the commands name it for people.
    pub(crate) fn scheme(&self) -> &str {
        self.dsn.split_once(':').unwrap().0
    }
}

/// Makes tests of functions that take a [`Driver`]: one for each driver.
macro_rules! on_every_driver {
    ($($test:ident),+ $(,)?) => {
        mod local {
            $(#[test]
            fn $test() {
                let test = concat!(module_path!(), "::", stringify!($test));
                crate::driver::Driver::local(test).iter().for_each(super::$test);
            })+
        }

        #[cfg(feature = "redis")]
        mod redis {
            $(#[test]
            fn $test() {
                let test = concat!(module_path!(), "::", stringify!($test));
                crate::driver::Driver::redis(test).iter().for_each(super::$test);
            })+
        }
    };
}

pub(crate) use on_every_driver;
