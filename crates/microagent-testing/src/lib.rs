//! What tests of agents and of drivers need: mocks, a virtual clock, and the conformance suites.

mod clock;
mod mock;

pub use clock::VirtualClock;
pub use mock::{BrokerMock, BusMock, Pushed, SentMessage, SentSignal, SettledMessage};
