//! What a member of a group does on its own side: hold on to the supervisor's life, learn what it is, report.
//!
//! `control.rs` is what the two sides say to each other; `supervisor_watch.rs` ends a member whose supervisor is gone;
//! `agent.rs` becomes an agent, `exec.rs` a program of another kind; `sentinel.rs` looks after what knows
//! no lifeline, and finds by its `tag.rs` what has strayed. `heartbeat.rs` shows that the agent's runtime is not blocked. `manifest.rs` answers the launcher's question before there is a group.

pub(crate) mod agent;
pub(crate) mod control;
pub(crate) mod exec;
mod heartbeat;
pub(crate) mod manifest;
pub(crate) mod sentinel;
pub(crate) mod supervisor_watch;
pub(crate) mod tag;
