//! The contracts and the runtime of MicroAgent: what travels, who carries it, and how an agent lives.
//!
//! This crate knows no network, no process and no command line. Read it in the order of a message's way:
//! [`Signal`] and [`Queue`] → [`SignalBus`] and [`QueueBroker`] with their handles [`Bus`] and [`Broker`] →
//! [`Delivery`] → dispatch → the handlers of a [`Blueprint`], on an [`Agent`] that lives.

#![warn(clippy::disallowed_methods)]

mod agent;
mod broker;
mod bus;
mod channel;
mod clock;
mod delivery;
mod dispatch;
pub mod driver;
mod error;
mod finite;
mod kwargs;
mod lease;
pub mod ledger;
mod memory;
mod message;
mod number;
mod payload;
mod queue;
mod rpc;
mod signal;
mod stats;
pub mod status;
mod text;
mod timer;
pub mod trace;

pub use agent::{
    Agent, AgentType, Blueprint, ConsumerManifest, Context, CronManifest, HandlerFuture,
    HandlerReply, HookManifest, Manifest, MessageInput, MicroAgent, PeriodicManifest,
    ReceiverManifest, RunningAgent, Sender, Shutdown, SignalInput, SignalName, TakeOnce, Wiring,
};
pub use broker::{
    Broker, BrokerOptions, Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, DeclareOptions, Declaring,
    Depth, LengthCounts, NamedQueue, QueueBroker, Route, Selection, SendOptions, Sending, header,
};
pub use bus::{
    Bus, BusEvent, BusMessage, BusOptions, Gap, Mailbox, MailboxStream, NamedSignal, SignalBus,
    SubscriberCount, check_published,
};
pub use channel::{Channel, DEFAULT_PREFIX, pattern_matches};
pub use clock::{Clock, SystemClock};
pub use delivery::{DeadReason, Delivery, Settle, SettleFuture, Settlement};
pub use dispatch::polled::{RunningHandler, running_handlers};
pub use error::{Advice, BoxError, Error, ErrorKind, Result, ResultExt, ServerInterrupt};
pub use kwargs::Kwargs;
pub use lease::{Lease, Leases};
pub use memory::{MemoryBroker, MemoryBus, MemoryOptions};
pub use message::{Headers, Message};
pub use microagent_schema::{
    ArgumentDeclaration, ConsumerOptions, CronOptions, DeadLetter, DeclarationError, Declarations,
    HandlerOptions, JsonType, OnFailure, Once, OptionError, Overflow, Overlap, PeriodicOptions,
    QueueDeclaration, ReceiverOptions, RetryPolicy, SignalDeclaration, Violation, WhenUnknown,
};
pub use number::Number;
pub use payload::{Fields, Payload, encode_payload};
pub use queue::{AsQueue, DEAD_LETTER_SUFFIX, Queue};
pub use rpc::{Answer, Call, Wait, Waiter, WaiterEnd};
pub use signal::Signal;
pub use text::{TEXT_LIMIT, shortened};
pub use timer::CronSchedule;
