//! Tools for tests of agents and of drivers: mocks, a virtual clock, simulations, and the conformance suites.
//!
//! # Testing an agent
//!
//! A handler is an ordinary method: a unit test calls it. A test of a whole agent connects it to [`BusMock`] and [`BrokerMock`],
//! which record what it sends and deliver what the test passes to them:
//!
//! - [`BusMock::emit`] delivers a signal, [`BusMock::ask`] calls the agent; [`BusMock::answer`] and the
//!   methods beside it configure how calls of the agent are answered. [`BusMock::sent`] and [`BusMock::called`] return the record.
//! - [`BrokerMock::push`] delivers a message, whose outcome is [`Pushed::settlement`] and is recorded in
//!   [`BrokerMock::settled`]. [`BrokerMock::sent`] returns what the agent sent.
//! - [`BusMock::fail_next_send`], [`BrokerMock::fail_next_send`] and [`BusMock::gap`] inject failures.
//!
//! In a test with `#[tokio::test(start_paused = true)]` no timeout, delay or schedule takes time, and [`VirtualClock`] is the
//! wall clock of cron tasks. When the agent has stopped, it has handled all signals and messages of the test:
//!
//! ```
//! use std::sync::Arc;
//! use microagent_core::{
//!     Agent, Blueprint, ConsumerOptions, Context, Error, Fields, HandlerFuture, MicroAgent, Queue, Result, Settlement, MessageInput,
//! };
//! use microagent_testing::BrokerMock;
//! use serde_json::json;
//!
//! const ORDERS: Queue = Queue::new("orders");
//! const MAILER: Queue = Queue::new("mailer");
//!
//! struct Shop;
//!
//! // What `#[agent]` makes of `#[consumer(ORDERS)] async fn order(&self, cx: &Context, to: String) -> Result<()>`.
//! impl MicroAgent for Shop {
//!     const NAME: &'static str = "Shop";
//!
//!     fn blueprint() -> Blueprint<Self> {
//!         Blueprint::new().consumer("order", ORDERS, ConsumerOptions::default(), order)
//!     }
//!
//!     async fn create(_cx: &Context) -> Result<Self> {
//!         Ok(Self)
//!     }
//! }
//!
//! fn order(_: &Arc<Shop>, taken: &mut MessageInput<'_>) -> HandlerFuture<()> {
//!     let to: String = Fields::of(taken.message.payload())?.get("to")?;
//!     let cx = taken.cx.clone();
//!     Ok(Box::pin(async move { cx.broker().send(MAILER, &json!({"email": to})).await }))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // In a `#[tokio::test(start_paused = true)]`:
//! let broker = BrokerMock::new();
//! let agent = Agent::new(Shop).broker(broker.broker()).start().await?;
//!
//! let order = broker.push("orders", json!({"to": "user@lwr.pw"})).await?;
//! assert_eq!(order.settlement().await, Settlement::Ack);
//! assert_eq!(broker.sent_to("mailer")[0].body, json!({"email": "user@lwr.pw"}));
//!
//! broker.push("orders", json!({"to": 7})).await?;
//! agent.stop().await?;
//! assert!(matches!(broker.settled()[1].settlement, Settlement::DeadLetter { .. }));
//! # Ok::<(), Error>(()) }).unwrap();
//! ```
//!
//! # Testing a group
//!
//! A [`Simulation`] runs a whole [`Group`] in one test, in virtual time: agents that communicate over bus and broker, and [`Faults`]
//! that a seed decides: crashes and restarts, messages that are delivered twice, late or in another order, and clocks that differ. The
//! report of a failure contains the seed, which repeats the run.
//!
//! # Testing a driver
//!
//! A driver joins the suites with a file in its `tests/`: an implementation of [`BusServer`] or [`BrokerServer`], which start
//! or find a server and connect to it, and one line that makes a test of each clause, [`bus_suite!`] or [`broker_suite!`]
//! (their examples are such files). The clauses are documented in the modules [`mod@bus_suite`] and [`mod@broker_suite`], and the panic
//! of a clause that fails contains what the clause expected.
//!
//! A driver whose server can be killed joins the failure suite, too: with the feature `failures`, an implementation of
//! `FailureServer` and `failure_suite!` make a test of each numbered line of `docs/failures.md` that has the same outcome on every
//! driver. Its faults are real: `kill -9`, cut connections, stopped servers and processes.
//!
//! - Names are unique in each clause, so clauses may share a server, and it may contain data of earlier runs.
//! - [`Caps`](microagent_core::Caps) choose what a clause asserts: that the driver keeps a promise, or that it rejects the option.
//!   No clause passes without having asserted something.
//! - The feature `servers` adds private instances of real servers, such as `RedisServer`, `RabbitMqServer` and `KafkaServer`, which start on free
//!   ports and end with the test. The clauses of a server that `SKIP_SERVICES` names are reported as ignored, and so are a
//!   driver's own tests in a list of [`needs!`].
//! - No clause sleeps to wait for an event; each event may take [`BusServer::EVENT_LIMIT`] or [`BrokerServer::EVENT_LIMIT`].

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod broker_suite;
pub mod bus_suite;
mod clock;
#[cfg(feature = "failures")]
pub mod failure_suite;
mod mock;
mod needs;
#[cfg(feature = "servers")]
mod server;
mod simulation;
#[doc(hidden)]
pub mod suite;

pub use broker_suite::BrokerServer;
pub use bus_suite::BusServer;
pub use clock::VirtualClock;
#[cfg(feature = "failures")]
pub use failure_suite::FailureServer;
pub use mock::{BrokerMock, BusMock, Pushed, SentMessage, SentSignal, SettledMessage};
#[cfg(feature = "servers")]
pub use server::{
    KafkaServer, RabbitMqServer, RedisServer, SignedCertificate, TestAuthority, python_interpreter,
};
pub use simulation::{Faults, Group, Simulation};
pub use suite::Cut;
