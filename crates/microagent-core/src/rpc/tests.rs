//! Calls and answers on a connection that is lost.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use serde_json::json;
use tokio::time::Instant;

use super::AnswerBody;
use crate::{
    Bus, BusEvent, Error, ErrorKind, Mailbox, MailboxStream, Result, SignalBus, SubscriberCount,
};

/// A bus whose only subscription a test loses, and whose publishing fails until somebody waits for the connection.
#[derive(Debug, Default)]
struct Unsteady {
    answers: Mutex<Option<MailboxStream>>,
    published: Mutex<Vec<String>>,
    is_away: AtomicBool,
}

impl Unsteady {
    fn new() -> (Arc<Self>, Mailbox) {
        let (mut mailbox, stream) = Mailbox::new();
        mailbox.go_live();
        let bus = Self {
            answers: Mutex::new(Some(stream)),
            ..Self::default()
        };
        (Arc::new(bus), mailbox)
    }

    fn published(&self) -> usize {
        self.published.lock().unwrap().len()
    }
}

#[async_trait]
impl SignalBus for Unsteady {
    async fn publish(&self, channel: &str, _: Bytes) -> Result<SubscriberCount> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "away"));
        }
        self.published.lock().unwrap().push(channel.to_owned());
        Ok(SubscriberCount::Counted(1))
    }

    async fn subscribe(&self, _: &str) -> Result<BoxStream<'static, BusEvent>> {
        Ok(self.answers.lock().unwrap().take().unwrap().boxed())
    }

    async fn ready(&self) -> Result<()> {
        self.is_away.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn address(&self) -> String {
        "unsteady://".to_owned()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

async fn call(bus: &Bus) -> ErrorKind {
    let call = bus.undeclared("tick").unwrap().call("test", &json!({}));
    let answer = call.timeout(Duration::from_secs(60)).await;
    answer.map(drop).unwrap_err().kind()
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_nobody_would_hear_is_not_sent() {
    let (driver, mut answers) = Unsteady::new();
    let bus = Bus::new(driver.clone());
    let first = tokio::spawn({
        let bus = bus.clone();
        async move { call(&bus).await }
    });
    while driver.published() == 0 {
        tokio::task::yield_now().await;
    }
    answers.lose("cut");
    assert_eq!(first.await.unwrap(), ErrorKind::Unavailable);

    let start = Instant::now();
    assert_eq!(call(&bus).await, ErrorKind::Unavailable);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(driver.published(), 1, "the second call was not sent");
    assert_eq!(bus.call_counts().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_subscription_that_is_soon_live_again() {
    let (driver, mut answers) = Unsteady::new();
    let bus = Bus::new(driver.clone());
    let calling = |bus: Bus| tokio::spawn(async move { call(&bus).await });
    let first = calling(bus.clone());
    while driver.published() == 0 {
        tokio::task::yield_now().await;
    }
    answers.lose("cut");
    assert_eq!(first.await.unwrap(), ErrorKind::Unavailable);

    let second = calling(bus.clone());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(driver.published(), 1);
    answers.go_live();
    // Nobody answers it.
    assert_eq!(second.await.unwrap(), ErrorKind::Timeout);
    assert_eq!(driver.published(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_the_connection() {
    let (driver, _answers) = Unsteady::new();
    let bus = Bus::new(driver.clone());
    driver.is_away.store(true, Ordering::Relaxed);
    let sent = bus.publish_answer("PUBSUB", "7-1", AnswerBody::of(&[]));
    sent.await.unwrap();
    assert_eq!(driver.published(), 1);
}
