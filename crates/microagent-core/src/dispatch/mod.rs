//! From bytes to a handler and from its result to a settlement: one path for all drivers.

pub(crate) mod outcome;
