//! The bus of an agent that was given none: every operation says so.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{BusEvent, SignalBus, SubscriberCount};
use crate::{Error, ErrorKind, Result};

/// A bus that is not there, and for whom.
#[derive(Debug)]
pub(crate) struct AbsentBus(pub(crate) Arc<str>);

impl AbsentBus {
    fn error(&self) -> Error {
        Error::new(
            ErrorKind::Configuration,
            format!(
                "agent `{}` was started without a bus: give it one with `.bus(…)` or `bus = …` in its settings",
                self.0
            ),
        )
    }
}

#[async_trait]
impl SignalBus for AbsentBus {
    async fn publish(&self, _channel: &str, _payload: Bytes) -> Result<SubscriberCount> {
        Err(self.error())
    }

    async fn subscribe(&self, _pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        Err(self.error())
    }

    async fn ready(&self) -> Result<()> {
        Err(self.error())
    }

    fn address(&self) -> String {
        "none".to_owned()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
