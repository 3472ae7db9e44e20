//! Several agents in one process, over one bus and one broker: a signal, a call, a queue, a schedule and a retry.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use microagent::prelude::*;
use microagent_testing::VirtualClock;

use super::{CommentsCount, Diary, MAILER, UserCreated, broker, bus, pass};

struct Web {
    diary: Diary,
}

#[agent]
impl Web {
    /// Every four hours: tells everyone.
    #[cron("0 */4 * * *", timeout = 5)]
    async fn report(&self, cx: &Context) -> Result<()> {
        self.diary.write("web: cron");
        cx.bus().send("web", UserCreated { user_id: 7 }).await
    }
}

#[derive(Default)]
struct Comments {
    count: AtomicU64,
}

#[agent]
impl Comments {
    #[receiver(UserCreated)]
    async fn count(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    #[receiver(CommentsCount)]
    async fn comments_count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

struct Users {
    diary: Diary,
}

#[agent]
impl Users {
    #[receiver(UserCreated)]
    async fn welcome(&self, cx: &Context, sender: Sender, user_id: u64) -> Result<()> {
        let answer = cx.bus().call("users", CommentsCount { user_id }).await?;
        self.diary
            .write(format!("users: {user_id} from {sender}, {answer}"));
        cx.broker()
            .send(MAILER, &json!({"text": "Welcome text", "user_id": user_id}))
            .await
    }
}

struct Mails {
    diary: Diary,
}

#[agent]
impl Mails {
    /// The mail server is away at the first three attempts.
    #[consumer(MAILER)]
    async fn send(&self, message: &Message, text: String) -> Result<()> {
        self.diary
            .write(format!("mails: {text}, attempt {}", message.attempt()));
        if message.attempt() < 4 {
            return Err("no mail server".into());
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn four_agents_in_one_process_and_in_virtual_time() {
    let real = std::time::Instant::now();
    let (diary, bus, broker) = (Diary::default(), bus().await, broker().await);
    let clock = VirtualClock::at("2026-01-01T00:00:00Z").unwrap();
    let web = Agent::new(Web {
        diary: diary.clone(),
    })
    .bus(bus.clone())
    .clock(clock)
    .start()
    .await
    .unwrap();
    let comments = Agent::new(Comments::default())
        .bus(bus.clone())
        .start()
        .await
        .unwrap();
    let users = Agent::new(Users {
        diary: diary.clone(),
    })
    .bus(bus.clone())
    .broker(broker.clone());
    let users = users.start().await.unwrap();
    let mails = Agent::new(Mails {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .start()
    .await
    .unwrap();

    pass(Duration::from_secs(4 * 3600 + 20)).await;

    assert_eq!(
        diary.read(),
        [
            "web: cron",
            r#"users: 7 from web, {"Comments.comments_count":1}"#,
            "mails: Welcome text, attempt 1",
            "mails: Welcome text, attempt 2",
            "mails: Welcome text, attempt 3",
            "mails: Welcome text, attempt 4",
        ]
    );
    web.stop().await.unwrap();
    comments.stop().await.unwrap();
    users.stop().await.unwrap();
    mails.stop().await.unwrap();
    assert!(
        real.elapsed() < Duration::from_secs(20),
        "the time was virtual"
    );
}
