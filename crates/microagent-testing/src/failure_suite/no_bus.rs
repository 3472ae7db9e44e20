//! The bus of a driver that has only queues.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{BusEvent, Error, ErrorKind, Result, SignalBus, SubscriberCount};

/// The bus of a driver that has only queues. It has no value.
#[derive(Debug)]
pub enum NoBus {}

impl NoBus {
    pub(super) fn error(address: &str) -> Error {
        let text = format!("the driver of `{address}` has no bus");
        Error::new(ErrorKind::Unsupported, text)
    }
}

#[async_trait]
impl SignalBus for NoBus {
    async fn publish(&self, _: &str, _: Bytes) -> Result<SubscriberCount> {
        match *self {}
    }

    async fn subscribe(&self, _: &str) -> Result<BoxStream<'static, BusEvent>> {
        match *self {}
    }

    async fn ready(&self) -> Result<()> {
        match *self {}
    }

    fn address(&self) -> String {
        match *self {}
    }

    async fn close(&self) -> Result<()> {
        match *self {}
    }
}
