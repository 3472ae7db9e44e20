//! Drivers without a server: they record what an agent sends, and deliver what the test passes to them.

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
