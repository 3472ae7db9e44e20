//! Every option of every attribute reaches the runtime, in each way in which it can be written.

use std::time::Duration;

use microagent::prelude::*;

use super::{MAILER, UserCreated, UserDeleted};

const PUSHER: Queue = Queue::new("pusher");
const KEEPER: Queue = Queue::new("keeper");
const HANDY: Queue = Queue::new("handy");
const LIMIT: Duration = Duration::from_secs(90);
const WORKERS: usize = 3;

struct Optioned;

#[agent]
impl Optioned {
    #[receiver(UserCreated, UserDeleted, timeout = 0.5, concurrency = 2, buffer = 0, overflow = drop_newest, retry(1), on_error = drop,
        on_undecodable = retry)]
    async fn receive(&self) {}

    #[receiver(UserCreated, timeout = LIMIT)]
    async fn receive_longer(&self) {}

    #[consumer(
        MAILER,
        timeout = "1500ms",
        concurrency = 4,
        prefetch = 40,
        autoack = true,
        retry("500ms", 1.5, 10),
        retry_jitter = "250ms",
        dead_letter = "lost_mails",
        max_crashes = 9,
        on_error = retry,
        on_timeout = dead_letter,
        on_panic = drop,
        on_undecodable = drop
    )]
    async fn taken(&self) {}

    #[consumer(PUSHER, concurrency = WORKERS, dead_letter = "none", retry(), driver(group = "pushers", lanes = 2))]
    async fn pushed(&self) {}

    #[consumer(KEEPER)]
    async fn kept(&self) {}

    #[consumer(HANDY, autoack = false)]
    async fn by_hand(&self, delivery: Delivery) -> Result<()> {
        delivery.ack().await
    }

    #[periodic(15)]
    async fn short(&self) {}

    #[periodic(period = "2m", timeout = 10, start_after = 3, overlap = skip, jitter = 30, retry(2, "3s"), on_panic = drop)]
    async fn long(&self) {}

    #[cron("0 */4 * * *")]
    async fn utc(&self) {}

    #[cron("@daily", timeout = 5, tz = "Europe/Berlin", overlap = queue, jitter = "90s", retry(60), on_timeout = drop)]
    async fn zoned(&self) {}

    #[cron("@hourly", once)]
    async fn one_of_all(&self) {}

    #[cron("@hourly", once(crashed = run, unavailable = run))]
    async fn one_at_least(&self) {}

    #[cron("@hourly", once = false)]
    async fn each_of_all(&self) {}
}

fn manifest() -> Value {
    serde_json::to_value(Optioned::blueprint().manifest()).unwrap()
}

#[test]
fn options_of_receivers_are_in_the_manifest() {
    let created = json!({"email": ["string", "null"], "user_id": ["number"]});
    let deleted = json!({"user_id": ["number"]});
    let receiver = |signal, types: &Value| {
        json!({
            "name": "receive", "signal": signal, "argument_types": types, "timeout": 0.5, "concurrency": 2, "buffer": 0, "overflow": "drop_newest",
            "retry": [1.0], "on_error": "drop", "on_undecodable": "retry",
        })
    };
    let longer = json!({
        "name": "receive_longer", "signal": "user_created", "argument_types": &created, "timeout": 90.0, "concurrency": 256, "buffer": 1024,
        "overflow": "drop_oldest", "on_undecodable": "drop",
    });
    let receivers = [
        receiver("user_created", &created),
        receiver("user_deleted", &deleted),
        longer,
    ];
    assert_eq!(manifest()["receivers"], json!(receivers.map(run)));
}

#[test]
fn options_of_consumers_are_in_the_manifest() {
    assert_eq!(
        manifest()["consumers"],
        json!([
            consumer(json!({
                "name": "taken", "queue": "mailer", "timeout": 1.5, "concurrency": 4, "prefetch": 40, "max_crashes": 9,
                "retry": [0.5, 1.5, 10.0], "retry_jitter": 0.25, "on_timeout": "dead_letter", "on_panic": "drop", "on_undecodable": "drop",
                "dead_letter": "lost_mails",
            })),
            consumer(json!({
                "name": "pushed", "queue": "pusher", "concurrency": 3, "driver": {"group": "pushers", "lanes": "2"},
                "retry": [], "dead_letter": null,
            })),
            consumer(json!({"name": "kept", "queue": "keeper", "dead_letter": "keeper.dead"})),
            consumer(
                json!({"name": "by_hand", "queue": "handy", "autoack": false, "dead_letter": "handy.dead"})
            ),
        ])
    );
}

#[test]
fn options_of_schedules_are_in_the_manifest() {
    let short = json!({
        "name": "short", "period": 15.0, "timeout": 1.0, "start_after": 0.0, "overlap": "allow", "jitter": 0.0,
    });
    let long = json!({
        "name": "long", "period": 120.0, "timeout": 10.0, "start_after": 3.0, "overlap": "skip", "jitter": 30.0,
        "retry": [2.0, 3.0], "on_panic": "drop",
    });
    assert_eq!(manifest()["periodic"], json!([short, long].map(run)));
    assert_eq!(
        manifest()["cron"],
        json!([
            cron("utc", "0 */4 * * *", json!({})),
            cron(
                "zoned",
                "@daily",
                json!({"tz": "Europe/Berlin", "own_tz": true, "timeout": 5.0, "overlap": "queue", "jitter": 90.0, "retry": [60.0], "on_timeout": "drop"})
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

/// A consumer in the manifest, with its defaults but for what is said.
fn consumer(options: Value) -> Value {
    let defaults = json!({
        "timeout": 60.0, "concurrency": 16, "prefetch": null, "autoack": true, "max_crashes": 3, "driver": {},
        "retry": [1.0, 4.0, 9.0], "retry_jitter": 0.0, "on_error": "retry", "on_timeout": "retry", "on_panic": "retry",
        "on_undecodable": "dead_letter",
    });
    with(defaults, options)
}

/// A cron task in the manifest, with its defaults but for what is said.
fn cron(name: &str, spec: &str, options: Value) -> Value {
    let task = json!({
        "name": name, "cron": spec, "tz": "UTC", "timeout": 1.0, "overlap": "allow", "jitter": 0.0, "once": null,
    });
    run(with(task, options))
}

/// Returns a handler in the manifest that is not a consumer, with the default reactions to its failures, except for what is said.
fn run(options: Value) -> Value {
    let failures = json!({
        "retry": [], "on_error": "retry", "on_timeout": "retry", "on_panic": "retry",
    });
    with(failures, options)
}

fn with(mut defaults: Value, options: Value) -> Value {
    for (option, value) in options.as_object().unwrap() {
        defaults[option] = value.clone();
    }
    defaults
}
