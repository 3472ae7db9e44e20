//! The queue broker: the driver's contract, and the handle that users hold.

mod driver;

pub use driver::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, QueueBroker, Route, SendOptions, header,
};
