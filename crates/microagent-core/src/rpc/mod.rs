//! Calls over a bus: a signal with an id, and answers that carry it back.
//!
//! One subscription per bus and prefix receives all answers to the calls of that bus. The id of a
//! call starts with the token of the bus and ends with the data about the caller that the responder
//! needs (`chain.rs`).

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
