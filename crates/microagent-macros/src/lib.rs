//! The macros of MicroAgent.
