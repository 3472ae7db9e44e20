//! The contract between MicroAgent and a server: what a driver implements, what the core passes to it, and helpers for its code.
//!
//! A driver implements [`SignalBus`], [`QueueBroker`] or both. `docs/driver-guide.md` shows a complete one, and the crate
//! `microagent-testing` has the suites that it must pass. [`Bus::new`](crate::Bus::new) and [`Broker::new`](crate::Broker::new)
//! make a handle of a driver. Tests and benchmarks also use these traits, to call the drivers of `memory://` without an agent.
//!
//! - The bus: [`SignalBus`] with its [`BusEvent`]s; [`Mailbox`] passes messages and losses from a connection to the
//!   streams of its subscriptions.
//! - The broker: [`QueueBroker`] with its [`Caps`], the options of a request, and [`Settle`] behind each
//!   [`Delivery`](crate::Delivery). [`delivery_channel`] connects a loop that fetches messages with the stream of its
//!   consumer, and limits what is in flight. [`ledger`] has the records of queues for a driver without a server.
//! - A connection: [`Dsn`], [`Backoff`], [`ConnectionRecord`], [`Outage`] and [`SuspectGate`];
//!   [`keep_connected`] opens it again after each loss. [`lock`] locks a mutex. [`is_final`] and [`ends_connecting`] decide whether
//!   a driver tries again.
//! - The drivers of this build: [`schemes`], [`check_dsn`] and [`broker_caps`].

pub use crate::connect::{Role, broker_caps, check_dsn, schemes};

// The bus.
pub use microagent_core::{
    BusEvent, BusMessage, BusOptions, Channel, DEFAULT_PREFIX, Mailbox, MailboxStream, SignalBus,
    SubscriberCount, check_published, pattern_matches,
};

// The broker.
pub use microagent_core::{
    BrokerOptions, Caps, ConsumeOptions, DEAD_LETTER_SUFFIX, DEFAULT_MAX_PAYLOAD, DeclareOptions,
    Lease, Leases, LengthCounts, QueueBroker, Route, SendOptions, Settle, SettleFuture,
    encode_payload, ledger,
};

// Connections.
pub use microagent_core::driver::{
    Backoff, Cleared, ConnectionRecord, DeliverySender, DeliveryStream, Dsn, DsnError, Failure,
    Host, Outage, PROVEN, Prefetch, Reconnect, Slot, SuspectGate, Taking, broker_closed,
    bus_closed, delivery_channel, dsn_error, ends_connecting, is_final, keep_connected, lock,
    redacted, unavailable,
};
pub use microagent_core::{TEXT_LIMIT, shortened};

// The drivers of `memory://`.
pub use microagent_core::{MemoryBroker, MemoryBus, MemoryOptions};
