//! The contracts and the runtime of MicroAgent: what travels, who carries it, and how an agent lives.
//!
//! This crate knows no network, no process and no command line. Read it in the order of a message's way:
//! [`Queue`] and signals → [`SignalBus`] and [`QueueBroker`] → [`Delivery`] → dispatch.

mod broker;
mod bus;
mod channel;
mod clock;
mod delivery;
mod dispatch;
mod error;
mod queue;

pub use broker::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, QueueBroker, Route, SendOptions, header,
};
pub use bus::{BusEvent, Gap, Published, Receivers, SignalBus};
pub use channel::{Channel, DEFAULT_PREFIX, pattern_matches};
pub use clock::{Clock, SystemClock};
pub use delivery::{DeadReason, Delivery, Message, Settle, Settled, Settlement};
pub use error::{Advice, BoxError, Error, ErrorKind, Result, ResultExt, ServerInterrupt};
pub use queue::{DEAD_LETTER_SUFFIX, Queue};
