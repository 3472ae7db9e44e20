//! This process's side: one connection for each folder, shared by every bus and broker, healed for ever.
//!
//! A handle is a [`Session`](session::Session) of the connection; what it asks for goes as a [`Command`](command::Command) to
//! the [`Pump`](pump::Pump), the one task that reads and writes the socket. It hosts nothing itself: before it dials it asks
//! the [election](crate::host) to host if nobody does.

mod broker;
mod bus;
mod command;
mod connection;
mod consumers;
mod deliveries;
mod dial;
mod handle;
mod host;
mod pending;
mod pump;
mod serve;
mod session;
mod subscription;
mod subscriptions;

pub use broker::LocalBroker;
pub use bus::LocalBus;
pub use host::Host;
