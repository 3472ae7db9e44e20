//! What an agent is: its blueprint, its context, and its life.

mod agent_type;
mod bind;
mod blueprint;
mod builder;
mod context;
mod failures;
mod lifecycle;
mod manifest;
mod options;
mod overrides;
mod parameters;
mod running;
mod schedules;
mod take_once;

pub use agent_type::{AgentType, Wiring};
pub use blueprint::{Blueprint, Handling, MicroAgent};
pub(crate) use blueprint::{ConsumerEntry, CronEntry, PeriodicEntry, ReceiverEntry, Task};
pub use builder::Agent;
pub use context::{Context, Shutdown};
pub use failures::{DeadLetter, FailurePolicy, OnFailure, RetryPolicy};
pub(crate) use lifecycle::Life;
pub use manifest::{
    ConsumerManifest, CronManifest, HookManifest, Manifest, PeriodicManifest, ReceiverManifest,
};
pub use options::{ConsumerOptions, Overflow, ReceiverOptions};
pub use parameters::{Answering, Heard, Sender, SignalName, Taken};
pub use running::RunningAgent;
pub use schedules::{CronOptions, Doubt, Once, Overlap, PeriodicOptions};
pub use take_once::TakeOnce;
