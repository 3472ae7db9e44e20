//! The broker of an agent that was given none: every operation says so.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{Caps, ConsumeOptions, DeclareOptions, QueueBroker, Route, Selection, SendOptions};
use crate::{Delivery, Error, ErrorKind, Message, Queue, Result};

/// A broker that is not there, and for whom.
#[derive(Debug)]
pub(crate) struct AbsentBroker(pub(crate) Arc<str>);

impl AbsentBroker {
    fn error(&self) -> Error {
        Error::new(
            ErrorKind::Configuration,
            format!(
                "agent `{}` was started without a broker: give it one with `.broker(…)` or `broker = …` in its settings",
                self.0
            ),
        )
    }
}

#[async_trait]
impl QueueBroker for AbsentBroker {
    async fn send(&self, _to: &Route, _payload: Bytes, _options: SendOptions) -> Result<()> {
        Err(self.error())
    }

    async fn consume(
        &self,
        _queue: &Queue,
        _options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        Err(self.error())
    }

    async fn length(&self, _queue: &Queue) -> Result<u64> {
        Err(self.error())
    }

    async fn declare(&self, _queue: &Queue, _options: &DeclareOptions) -> Result<()> {
        Err(self.error())
    }

    async fn peek(&self, _queue: &Queue, _limit: usize) -> Result<Vec<Message>> {
        Err(self.error())
    }

    async fn requeue(&self, _from: &Queue, _to: &Queue, _which: &Selection) -> Result<u64> {
        Err(self.error())
    }

    async fn release(&self, _queue: &Queue) -> Result<u64> {
        Err(self.error())
    }

    async fn purge(&self, _queue: &Queue, _which: &Selection) -> Result<u64> {
        Err(self.error())
    }

    fn caps(&self) -> Caps {
        Caps::default()
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
