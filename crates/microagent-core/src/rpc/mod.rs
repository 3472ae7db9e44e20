//! Calls over a bus: a signal with an id, and answers that carry it back.
//!
//! One subscription per bus and prefix hears all answers to its own calls; the ids start with the bus's token, and end with
//! what the responder has to know of the caller (`chain.rs`).

mod answer;
mod call;
mod chain;
mod pending;
#[cfg(test)]
mod tests;
mod waiter;

pub use answer::Answer;
pub(crate) use answer::AnswerBody;
pub use call::Call;
pub(crate) use call::Outgoing;
pub(crate) use chain::{CallScope, Caller};
pub(crate) use pending::Calls;
pub use waiter::{Wait, Waiter, WaiterEnd};
