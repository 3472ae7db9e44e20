//! The signal bus: the driver's contract, and the handle that users hold.

mod absent;
pub(crate) mod check;
mod driver;
mod handle;
mod mailbox;
mod named;

pub(crate) use absent::AbsentBus;
pub(crate) use driver::check_received;
pub use driver::{BusEvent, BusMessage, Gap, SignalBus, SubscriberCount, check_published};
pub(crate) use handle::WeakBus;
pub use handle::{Bus, BusOptions};
pub use mailbox::{Mailbox, MailboxStream};
pub use named::NamedSignal;
