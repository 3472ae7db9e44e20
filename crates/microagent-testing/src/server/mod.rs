//! Disposable servers for tests: private processes on free ports in temporary folders, which end with the value.
//!
//! They touch no server that they did not start. A driver's tests start one for each clause, and do to it what happens to
//! servers: kill it, freeze it, start it again. Beside them is the interpreter of a Python peer.

mod authority;
mod cache;
mod kafka;
mod process;
mod python;
mod rabbitmq;
mod redis;
mod watcher;

pub use authority::{SignedCertificate, TestAuthority};
pub use kafka::KafkaServer;
pub use python::python_interpreter;
pub use rabbitmq::RabbitMqServer;
pub use redis::RedisServer;
