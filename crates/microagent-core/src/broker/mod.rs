//! The queue broker: the driver's contract, and the handle that users hold.

mod absent;
mod caps;
mod declare;
mod depth;
mod driver;
mod handle;
pub mod header;
mod named;
mod options;
mod selection;
mod send;

pub(crate) use absent::AbsentBroker;
pub use caps::{Caps, DEFAULT_MAX_PAYLOAD, LengthCounts};
pub use declare::Declaring;
pub use depth::Depth;
pub use driver::QueueBroker;
pub use handle::{Broker, BrokerOptions};
pub use named::NamedQueue;
pub use options::{ConsumeOptions, DeclareOptions, Route, SendOptions};
pub use selection::Selection;
pub use send::Sending;
