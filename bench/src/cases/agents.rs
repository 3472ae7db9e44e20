//! The agents that are measured: handlers with named arguments, which count.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use microagent::prelude::*;
use tokio::sync::{Notify, mpsc};

/// The measured queue.
pub(crate) const MAILER: Queue = Queue::new("mailer");

/// The payload: 60 bytes of JSON.
pub(crate) const BODY: &str = r#"{"user_id":12345,"text":"Welcome text","email":"user@lwr.pw"}"#;

/// The same payload with a text that makes it 16 KiB.
pub(crate) static LARGE_BODY: LazyLock<String> = LazyLock::new(|| {
    let text = "x".repeat(16 * 1024 - BODY.len());
    BODY.replace("Welcome text", &format!("Welcome text{text}"))
});

/// The measured signal.
#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
pub(crate) struct UserCreated {
    pub(crate) user_id: u64,
    pub(crate) text: String,
    pub(crate) email: String,
}

impl UserCreated {
    /// The signal whose payload is [`BODY`].
    pub(crate) fn sample() -> Self {
        Self {
            user_id: 12345,
            text: "Welcome text".to_owned(),
            email: "user@lwr.pw".to_owned(),
        }
    }
}

/// Counts handled messages, and wakes the waiting task at the last one.
#[derive(Clone, Debug)]
pub(crate) struct Countdown(Arc<Left>);

#[derive(Debug)]
struct Left {
    total: u32,
    left: AtomicU32,
    done: Notify,
}

impl Countdown {
    pub(crate) fn from(count: u32) -> Self {
        Self(Arc::new(Left {
            total: count,
            left: AtomicU32::new(count),
            done: Notify::new(),
        }))
    }

    /// Counts one message. It reads the arguments, so that the compiler cannot remove their decoding.
    pub(crate) fn count(&self, user_id: u64, text: &str, email: &str) {
        assert!(user_id == 12345 && !text.is_empty() && !email.is_empty());
        self.count_many(1);
    }

    /// Counts messages that are not decoded.
    pub(crate) fn count_many(&self, count: u32) {
        if self.0.left.fetch_sub(count, Ordering::AcqRel) == count {
            self.0.done.notify_one();
        }
    }

    /// Returns how many messages were handled.
    pub(crate) fn handled(&self) -> u32 {
        self.0.total - self.0.left.load(Ordering::Acquire)
    }

    pub(crate) async fn done(&self) {
        self.0.done.notified().await;
    }
}

/// Handles messages and signals alike.
pub(crate) struct Counting {
    pub(crate) countdown: Countdown,
}

#[agent]
impl Counting {
    #[consumer(MAILER, concurrency = 64, prefetch = 512)]
    async fn consume(&self, user_id: u64, text: String, email: String) {
        self.countdown.count(user_id, &text, &email);
    }

    #[receiver(UserCreated, concurrency = 1024, buffer = 1_000_000)]
    async fn receive(&self, user_id: u64, text: String, email: String) {
        self.countdown.count(user_id, &text, &email);
    }
}

/// Reports when it received a signal.
pub(crate) struct Stamping {
    pub(crate) stamps: mpsc::UnboundedSender<Instant>,
}

#[agent]
impl Stamping {
    #[receiver(UserCreated)]
    async fn stamp(&self, user_id: u64, text: String) {
        let now = Instant::now();
        assert!(user_id == 12345 && !text.is_empty());
        // The case may have ended.
        let _ = self.stamps.send(now);
    }
}
