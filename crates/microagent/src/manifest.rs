//! The declarations of an agent as data: its handlers with their options, and its hooks.
//!
//! [`AgentType::manifest`](crate::blueprint::AgentType::manifest) returns a [`Manifest`] without starting the agent. It is
//! serializable: `marun` asks each program of a group for it, and prints it with `marun info`.

pub use microagent_core::{
    ConsumerManifest, CronManifest, HookManifest, Manifest, PeriodicManifest, ReceiverManifest,
};
