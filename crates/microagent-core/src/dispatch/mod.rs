//! From bytes to a handler and from its result to a settlement: one path for all drivers. Signals enter through `listening`, messages
//! through `consume`.

pub(crate) mod consume;
pub(crate) mod flow;
pub(crate) mod growth;
pub(crate) mod listening;
pub(crate) mod outcome;
pub(crate) mod polled;
mod quick;
mod receive;
pub(crate) mod receiver;
pub(crate) mod run;
