//! The side of a member: what its process does before and beside the agent, and the sentinel.
//!
//! | file | content |
//! |---|---|
//! | `control.rs` | the messages between supervisor and member |
//! | `answer.rs` | answers the questions of the supervisor |
//! | `supervisor_watch.rs` | ends a member whose supervisor is gone |
//! | `agent.rs`, `exec.rs` | runs an agent, or replaces the process by another program |
//! | `heartbeat.rs` | shows the supervisor that the agent's runtime is not blocked |
//! | `manifest.rs` | answers the question which agents a program contains |
//! | `sentinel.rs`, `tag.rs` | ends the processes of a killed supervisor, and finds them |

pub(crate) mod agent;
mod answer;
pub(crate) mod control;
pub(crate) mod exec;
mod heartbeat;
pub(crate) mod manifest;
pub(crate) mod sentinel;
pub(crate) mod supervisor_watch;
pub(crate) mod tag;
