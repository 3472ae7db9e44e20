//! The queue broker: the driver's contract, and the handle that users hold.

mod absent;
mod depth;
mod driver;
mod handle;
pub mod header;
mod lease;
mod named;
mod selection;
mod send;

pub(crate) use absent::AbsentBroker;
pub use depth::Depth;
pub use driver::{Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, QueueBroker, Route, SendOptions};
pub use handle::{Broker, BrokerOptions};
pub use lease::Lease;
pub use named::NamedQueue;
pub use selection::Selection;
pub use send::Sending;
