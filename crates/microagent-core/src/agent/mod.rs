//! Agents: their blueprint, their context, and their life.

mod agent_type;
mod bind;
mod blueprint;
mod builder;
mod configure;
mod context;
mod lifecycle;
mod manifest;
mod parameters;
mod running;
mod settings;
mod take_once;

pub use agent_type::{AgentType, Wiring};
pub use blueprint::{Blueprint, HandlerFuture, MicroAgent};
pub(crate) use blueprint::{ConsumerEntry, CronEntry, PeriodicEntry, ReceiverEntry, Task};
pub use builder::Agent;
pub use context::{Context, Shutdown};
pub(crate) use lifecycle::Life;
pub use manifest::{
    ConsumerManifest, CronManifest, HookManifest, Manifest, PeriodicManifest, ReceiverManifest,
};
pub use parameters::{HandlerReply, MessageInput, Sender, SignalInput, SignalName};
pub use running::RunningAgent;
pub use take_once::TakeOnce;
