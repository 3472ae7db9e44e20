//! What tests of agents and of drivers need: mocks, a virtual clock, and the conformance suites.

pub mod broker_suite;
pub mod bus_suite;
mod clock;
mod mock;
#[doc(hidden)]
pub mod suite;

pub use broker_suite::BrokerServer;
pub use bus_suite::BusServer;
pub use clock::VirtualClock;
pub use mock::{BrokerMock, BusMock, Pushed, SentMessage, SentSignal, SettledMessage};
