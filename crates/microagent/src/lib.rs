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
//! - [`declare!`] and [`Signal`](macro@Signal) declare signals and queues; [`load_stuff`] loads declarations at run time.
//! - [`Blueprint`] defines an agent without the macros.

mod connect;
mod load;
mod run;

pub mod prelude;

#[doc(hidden)]
#[path = "private/mod.rs"]
pub mod __private;

pub use connect::{BrokerBuilder, BusBuilder, Connect, Role, broker_caps, check_dsn, schemes};
pub use load::{load_queues, load_signals, load_stuff, load_text, parse_stuff};
pub use microagent_core::*;
pub use microagent_macros::{Signal, agent, consumer, cron, declare, on, periodic, receiver};
pub use run::RunUntilStopped;

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
