//! The launcher as its user meets it: real processes, their logs, their ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails loudly, in its helpers too"
)]

mod absent;
mod commands;
mod connections;
mod contract;
mod cron;
mod driver;
mod environment;
mod group;
mod guide;
mod health;
#[cfg(feature = "kafka")]
mod kafka;
mod lifecycle;
mod load;
mod odd_messages;
#[cfg(feature = "operate")]
mod operate;
mod output;
mod program;
mod queue;
#[cfg(feature = "amqp")]
mod rabbitmq;
mod random_kills;
mod restart;
mod schedules;
#[cfg(all(feature = "http", feature = "redis"))]
mod secrets;
mod service;
mod settings;
mod signals;
mod status;
mod status_bus;
mod streams;
mod suspended;
mod terminal;
#[cfg(all(feature = "local", feature = "otel"))]
mod traces;
#[cfg(feature = "http")]
mod web;
mod wired;
