//! Event-driven microservices.
//!
//! A microservice is an *agent*: one struct whose methods handle events, queue messages and schedules. Agents do not connect to each other.
//! They talk to a signal bus (an event reaches every agent that subscribes to it) and a queue broker (a message is kept until one consumer
//! has handled it). Attributes declare the handlers:
//!
//! ```
//! use microagent::prelude::*;
//!
//! #[derive(Serialize, Deserialize, Signal)]
//! struct UserCreated {
//!     user_id: u64,
//! }
//!
//! const MAILER: Queue = Queue::new("mailer");
//!
//! struct UserAgent;
//!
//! #[agent]
//! impl UserAgent {
//!     #[receiver(UserCreated)]
//!     async fn welcome(&self, cx: &Context, user_id: u64) -> Result<()> {
//!         cx.broker().send(MAILER, &json!({"text": "welcome", "user_id": user_id})).await
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let bus = Bus::connect("memory://").await?;
//! let broker = Broker::connect("memory://").await?;
//! let agent = Agent::new(UserAgent).bus(bus.clone()).broker(broker.clone()).start().await?;
//!
//! bus.call("example", UserCreated { user_id: 7 }).await?; // returns when the receiver has answered
//! assert_eq!(broker.length(MAILER).await?, 1);
//! agent.stop().await
//! # }).unwrap();
//! ```
//!
//! A program needs this crate, `tokio` with `macros` and `rt-multi-thread`, and `serde` with `derive`: the derives `Serialize` and
//! `Deserialize` of the [`prelude`] are serde's own, and their generated code names the crate `serde`.
//!
//! - [`agent`](macro@agent) and the guide's page about handlers describe parameters and results of handlers.
//! - [`Connect`] connects to a bus or broker by its DSN. Drivers are cargo features: `memory://` is always available; `local:PATH` and
//!   `redis://…` are on by default.
//! - [`declare!`] and [`Signal`](macro@Signal) declare signals and queues at compile time.
//!
//! # Modules
//!
//! The root of the crate has the names that an agent and its tests need; the [`prelude`] imports the most frequent ones. The
//! others have a module each, by the program that needs them:
//!
//! - [`declarations`]: a program that loads `signals.json` at run time.
//! - [`manifest`]: a program that reads what an agent declares.
//! - [`status`]: a program that looks into running agents.
//! - `operate`, with the feature of this name: metrics and health over HTTP, for agents without `marun`.
//! - [`blueprint`]: an agent that is defined without the macros, and a launcher.
//! - [`driver`]: a driver for another server, and a test that calls a driver directly.
//! - [`trace`]: a program that continues traces with another library than OpenTelemetry's.
//!
//! With the feature `otel`, `microagent::otel` exports traces by the OpenTelemetry protocol.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod connect;
mod load;
mod run;

pub mod blueprint;
pub mod declarations;
pub mod driver;
pub mod manifest;
#[cfg(feature = "operate")]
pub mod operate;
pub mod prelude;
pub mod status;
pub mod trace;

#[cfg(feature = "otel")]
pub use microagent_otel as otel;

#[doc(hidden)]
#[path = "private/mod.rs"]
pub mod __private;

// Attributes and macros.
pub use microagent_macros::{Signal, agent, consumer, cron, declare, on, periodic, receiver};

// Agents.
pub use microagent_core::{
    Agent, Clock, Context, MicroAgent, RunningAgent, Sender, ServerInterrupt, Shutdown, SignalName,
    SystemClock, TakeOnce,
};
pub use run::RunUntilStopped;

// Connections.
pub use connect::{BrokerBuilder, BusBuilder, Connect};
pub use microagent_core::{Broker, Bus, driver::ConnectionState};

// Signals and calls.
pub use microagent_core::{Answer, Call, Gap, NamedSignal, Signal, Wait, Waiter, WaiterEnd};

// Queues and messages.
pub use microagent_core::{
    AsQueue, DeadReason, Delivery, Depth, Headers, Message, NamedQueue, Queue, Selection, Sending,
    Settlement, header,
};

// Payloads.
pub use microagent_core::{Kwargs, Number, Payload};

// Errors.
pub use microagent_core::{Advice, BoxError, Error, ErrorKind, Result, ResultExt};

/// The examples of the README and the guide, run as tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/handlers.md")]
    struct Handlers;

    #[doc = include_str!("../../../docs/testing.md")]
    struct Testing;

    #[doc = include_str!("../../../docs/driver-guide.md")]
    struct Drivers;
}
