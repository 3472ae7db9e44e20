//! Every option of every attribute reaches the runtime, in each way in which it can be written.

use std::time::Duration;

use microagent::prelude::*;

use super::{MAILER, UserCreated, UserDeleted};

const PUSHER: Queue = Queue::new("pusher");
const LIMIT: Duration = Duration::from_secs(90);
const WORKERS: usize = 3;

struct Optioned;

#[agent]
impl Optioned {
    #[receiver(UserCreated, UserDeleted, timeout = 0.5, concurrency = 2, buffer = 0, overflow = drop_newest)]
    async fn heard(&self) {}

    #[receiver(UserCreated, timeout = LIMIT)]
    async fn heard_longer(&self) {}

    #[consumer(
        MAILER,
        timeout = "1500ms",
        concurrency = 4,
        prefetch = 40,
        autoack = true,
        retry("500ms", 1.5, 10),
        dead_letter = "lost_mails",
        max_crashes = 9
    )]
    async fn taken(&self) {}

    #[consumer(PUSHER, concurrency = WORKERS, dead_letter = "none", retry())]
    async fn pushed(&self) {}

    #[periodic(15)]
    async fn short(&self) {}

    #[periodic(period = "2m", timeout = 10, start_after = 3, overlap = skip, jitter = 30)]
    async fn long(&self) {}

    #[cron("0 */4 * * *")]
    async fn utc(&self) {}

    #[cron("@daily", timeout = 5, tz = "Europe/Berlin", overlap = queue, jitter = "90s")]
    async fn zoned(&self) {}

    #[cron("@hourly", once)]
    async fn one_of_all(&self) {}

    #[cron("@hourly", once(crashed = run, unavailable = run))]
    async fn one_at_least(&self) {}

    #[cron("@hourly", once = false)]
    async fn each_of_all(&self) {}
}

#[test]
fn options_are_in_the_manifest_with_their_defaults_where_none_is_given() {
    let manifest = serde_json::to_value(Optioned::blueprint().manifest()).unwrap();
    assert_eq!(
        manifest["receivers"],
        json!([
            {"name": "heard", "signal": "user_created", "timeout": 0.5},
            {"name": "heard", "signal": "user_deleted", "timeout": 0.5},
            {"name": "heard_longer", "signal": "user_created", "timeout": 90.0},
        ])
    );
    assert_eq!(
        manifest["consumers"],
        json!([
            {"name": "taken", "queue": "mailer", "timeout": 1.5, "concurrency": 4},
            {"name": "pushed", "queue": "pusher", "timeout": 60.0, "concurrency": 3},
        ])
    );
    assert_eq!(
        manifest["periodic"],
        json!([
            {"name": "short", "period": 15.0, "timeout": 1.0, "start_after": 0.0, "overlap": "allow", "jitter": 0.0},
            {"name": "long", "period": 120.0, "timeout": 10.0, "start_after": 3.0, "overlap": "skip", "jitter": 30.0},
        ])
    );
    assert_eq!(
        manifest["cron"],
        json!([
            cron("utc", "0 */4 * * *", json!({})),
            cron(
                "zoned",
                "@daily",
                json!({"tz": "Europe/Berlin", "timeout": 5.0, "overlap": "queue", "jitter": 90.0})
            ),
            cron(
                "one_of_all",
                "@hourly",
                json!({"once": {"crashed": "skip", "unavailable": "skip"}})
            ),
            cron(
                "one_at_least",
                "@hourly",
                json!({"once": {"crashed": "run", "unavailable": "run"}})
            ),
            cron("each_of_all", "@hourly", json!({})),
        ])
    );
}

/// A cron task in the manifest, with its defaults but for what is said.
fn cron(name: &str, spec: &str, said: Value) -> Value {
    let mut task = json!({
        "name": name, "cron": spec, "tz": "UTC", "timeout": 1.0, "overlap": "allow", "jitter": 0.0, "once": null,
    });
    for (option, value) in said.as_object().unwrap() {
        task[option] = value.clone();
    }
    task
}
