//! The queue broker: the driver's contract, and the handle that users hold.

mod absent;
mod driver;
mod handle;
pub mod header;
mod lease;
mod named;
mod send;

pub(crate) use absent::AbsentBroker;
pub use driver::{Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, QueueBroker, Route, SendOptions};
pub use handle::{Broker, BrokerOptions};
pub use lease::Lease;
pub use named::NamedQueue;
pub use send::Sending;
