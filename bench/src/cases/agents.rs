//! The agents that are measured: handlers with named arguments, which count.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use microagent::prelude::*;
use tokio::sync::{Notify, mpsc};

/// The measured queue.
pub(crate) const MAILER: Queue = Queue::new("mailer");

/// What travels: 60 bytes of JSON.
pub(crate) const BODY: &str = r#"{"user_id":12345,"text":"Welcome text","email":"user@lwr.pw"}"#;

/// What travels as a signal.
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

/// Counts what was handled; whoever waits is told at the last one.
#[derive(Clone, Debug)]
pub(crate) struct Countdown(Arc<Left>);

#[derive(Debug)]
struct Left {
    left: AtomicU32,
    done: Notify,
}

impl Countdown {
    pub(crate) fn from(count: u32) -> Self {
        Self(Arc::new(Left {
            left: AtomicU32::new(count),
            done: Notify::new(),
        }))
    }

    /// One more is handled. The arguments are looked at, so that decoding them cannot be left out.
    pub(crate) fn count(&self, user_id: u64, text: &str, email: &str) {
        assert!(user_id == 12345 && !text.is_empty() && !email.is_empty());
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_one();
        }
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
    async fn taken(&self, user_id: u64, text: String, email: String) {
        self.countdown.count(user_id, &text, &email);
    }

    #[receiver(UserCreated, concurrency = 1024, buffer = 1_000_000)]
    async fn heard(&self, user_id: u64, text: String, email: String) {
        self.countdown.count(user_id, &text, &email);
    }
}

/// Says when it heard.
pub(crate) struct Stamping {
    pub(crate) heard: mpsc::UnboundedSender<Instant>,
}

#[agent]
impl Stamping {
    #[receiver(UserCreated)]
    async fn stamp(&self, user_id: u64, text: String) {
        let now = Instant::now();
        assert!(user_id == 12345 && !text.is_empty());
        // Whoever measured has gone: nothing to tell.
        let _ = self.heard.send(now);
    }
}
