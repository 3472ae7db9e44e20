//! The contracts and the runtime of MicroAgent.
