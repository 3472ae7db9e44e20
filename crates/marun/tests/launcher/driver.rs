//! The drivers on which the tools of the command line are tested: the same test bodies on each.

use std::any::Any;
#[cfg(feature = "amqp")]
use std::sync::OnceLock;

#[cfg(feature = "kafka")]
use microagent_testing::KafkaServer;
#[cfg(feature = "amqp")]
use microagent_testing::RabbitMqServer;
#[cfg(feature = "redis")]
use microagent_testing::RedisServer;
#[cfg(any(feature = "amqp", feature = "kafka"))]
use tokio::runtime::Runtime;

/// A bus and a broker of a test's own.
pub(crate) struct Driver {
    pub(crate) dsn: String,
    /// A folder or a server, which ends with the test.
    _home: Box<dyn Any>,
}

impl Driver {
    /// The embedded default, in a folder that is there already.
    pub(crate) fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            dsn: format!("local:{}", folder.path().display()),
            _home: Box::new(folder),
        }
    }

    /// A server of the test's own.
    #[cfg(feature = "redis")]
    pub(crate) fn redis() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(RedisServer::start());
        let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
        Self {
            dsn: server.dsn(),
            _home: Box::new(server),
        }
    }

    /// A virtual host of the test's own, on one server for all tests of the program.
    #[cfg(feature = "amqp")]
    pub(crate) fn rabbitmq(name: &str) -> Self {
        static SERVER: OnceLock<(Runtime, RabbitMqServer)> = OnceLock::new();
        let (runtime, server) = SERVER.get_or_init(|| {
            let runtime = Runtime::new().unwrap();
            let server = runtime.block_on(RabbitMqServer::start());
            let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
            (runtime, server)
        });
        runtime.block_on(async {
            server.control(&["add_vhost", name]).await.unwrap();
            let all = ["set_permissions", "-p", name, "guest", ".*", ".*", ".*"];
            server.control(&all).await.unwrap();
        });
        Self {
            dsn: format!("{}{name}", server.dsn()),
            _home: Box::new(()),
        }
    }

    /// A server of the test's own.
    #[cfg(feature = "kafka")]
    pub(crate) fn kafka() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(KafkaServer::start());
        let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
        Self {
            dsn: server.dsn(),
            _home: Box::new((server, runtime)),
        }
    }

    /// Returns the scheme, as commands print it.
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
                super::$test(&crate::driver::Driver::local());
            })+
        }

        #[cfg(feature = "redis")]
        mod redis {
            $(fn $test() {
                super::$test(&crate::driver::Driver::redis());
            })+

            microagent_testing::needs! { redis { $(fn $test,)+ } }
        }
    };
}

pub(crate) use on_every_driver;
