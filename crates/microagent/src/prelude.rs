//! The names that a file with an agent needs: `use microagent::prelude::*;`.
//!
//! `Serialize` and `Deserialize` are serde's own. The code of their derives names the crate `serde`, so your crate must depend on it.

#[doc(no_inline)]
pub use crate::{
    Agent, Broker, Bus, Connect, Context, Delivery, Error, Gap, Kwargs, Message, MicroAgent,
    Number, Payload, Queue, Result, ResultExt, RunUntilStopped, RunningAgent, Sender,
    ServerInterrupt, Signal, SignalName, TakeOnce, agent, consumer, cron, on, periodic, receiver,
};
#[doc(no_inline)]
pub use serde::{Deserialize, Serialize};
#[doc(no_inline)]
pub use serde_json::{Value, json};
#[doc(no_inline)]
pub use tracing::{debug, error, info, warn};
