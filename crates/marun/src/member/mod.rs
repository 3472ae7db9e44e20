//! What a member of a group does on its own side: hold on to the supervisor's life, learn what it is, report.
//!
//! `control.rs` is what the two sides say to each other; `lifeline.rs` ends a member whose supervisor is gone;
//! `agent.rs` becomes an agent, `exec.rs` a program of another kind; `sentinel.rs` looks after what knows
//! no lifeline, and finds by its `mark.rs` what has strayed. `pulse.rs` shows that the agent's runtime is not blocked. `introduce.rs` answers the launcher's question before there is a group.

pub(crate) mod agent;
pub(crate) mod control;
pub(crate) mod exec;
pub(crate) mod introduce;
pub(crate) mod lifeline;
pub(crate) mod mark;
mod pulse;
pub(crate) mod sentinel;
