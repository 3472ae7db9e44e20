//! From bytes to a handler and from its result to a settlement: one path for all drivers.

pub(crate) mod consume;
pub(crate) mod flow;
pub(crate) mod growth;
pub(crate) mod outcome;
pub(crate) mod polled;
pub(crate) mod receive;
pub(crate) mod run;
