//! Drivers that carry nothing anywhere: they record what an agent sends, and hand it what the test gives them.

mod broker;
mod bus;
mod connection;
mod exact;
mod readers;
mod record;

pub use self::{
    broker::{BrokerMock, Pushed},
    bus::BusMock,
    record::{SentMessage, SentSignal, SettledMessage},
};
