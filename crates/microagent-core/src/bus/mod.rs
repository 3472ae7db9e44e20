//! The signal bus: the driver's contract, and the handle that users hold.

mod driver;

pub use driver::{BusEvent, Gap, Published, Receivers, SignalBus};
