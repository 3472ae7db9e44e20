//! Input that no peer should send: raw bytes on the group's channels and in its queue.

use std::{fmt::Debug, time::Duration};

use examples::{CommentAgent, EmailAgent, UserAgent};
use microagent::prelude::*;
use redis::Commands;
use serde_json::Value;

use crate::{
    START, end,
    running::{Group, Launcher},
    scene::scene,
};

microagent_testing::needs! {
    redis {
        fn strange_bodies_disturb_nobody,
        fn strange_bodies_are_counted,
    }
}

const BIG: usize = 10 * 1024 * 1024;
const SOON: Duration = Duration::from_secs(10);

/// Bodies that are not JSON objects, and the start of each in the log.
fn strange() -> [(Vec<u8>, &'static str); 5] {
    [
        (b"[1,2]".to_vec(), "`[1,2]`"),
        (b"{".to_vec(), "`{`"),
        (b"\xff\xfe".to_vec(), "`\u{fffd}\u{fffd}`"),
        (b"{\"text\":\"\xff\"}".to_vec(), "`{\"text\":\"\u{fffd}\"}`"),
        (vec![b'x'; BIG], "`xxxxxxxx"),
    ]
}

/// Sends each body as a signal, as a signal of a sender with `:`, and as a message.
fn send_strange(raw: &mut redis::Connection) {
    for (body, _) in strange() {
        for channel in ["PREF:user_comment:raw", "PREF:user_comment:a:b"] {
            let subscribers: usize = raw.publish(channel, &body).unwrap();
            assert_eq!(
                subscribers, 2,
                "the user agent and the comment agent listen"
            );
        }
        let _: usize = raw.rpush("mailer", &body).unwrap();
    }
}

/// Each is logged, each message is kept as a dead letter, and everything else goes on.
fn strange_bodies_disturb_nobody() {
    let scene = scene();
    let mut group = Group::start(scene.group(Launcher::Examples));
    group.wait_for_line("all agents are ready", START);
    let before = group.agents();
    let mut raw = scene.look();
    send_strange(&mut raw);
    let big = json!({"text": "y".repeat(BIG)}).to_string();
    let _: usize = raw.rpush("mailer", big).unwrap();

    for agent in ["user_agent", "comment_agent"] {
        for (_, start) in strange() {
            let logged = format!("it starts with {start}");
            group.wait_for(agent, &logged, SOON);
        }
        group.wait_for(agent, "channel=\"PREF:user_comment:a:b\"", SOON);
    }
    group.wait_for("email_agent", "Catch emailer {\"text\":\"yyyy", SOON);
    scene.wait_until_drained(SOON);
    assert_all_are_dead_letters(&mut raw);

    // Later than all of it, and heard and answered as ever.
    group.wait_for("user_agent", "Get value = {\"CommentAgent.", START);
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", START);
    assert_eq!(group.agents(), before, "the same processes");
    let parked = |line: &&str| line.contains("message parked as a dead letter");
    assert_eq!(group.lines().filter(parked).count(), strange().len());
    end(&mut group, ["comment_agent", "email_agent", "user_agent"]);
}

fn assert_all_are_dead_letters(raw: &mut redis::Connection) {
    let dead: Vec<Vec<u8>> = raw.lrange("mailer.dead", 0, -1).unwrap();
    assert_eq!(dead.len(), strange().len());
    for (body, start) in strange() {
        assert!(dead.contains(&body), "{start} is not a dead letter");
    }
}

/// The same on the documentation's custom server, which can be asked what it counts.
fn strange_bodies_are_counted() {
    let scene = scene();
    // A bus for each agent, as each process of the group has its own.
    let (user_bus, comment_bus, broker) = (scene.bus(), scene.bus(), scene.broker());
    scene.runtime.block_on(async {
        let user_agent = Agent::new(UserAgent).bus(user_bus.clone());
        let user_agent = user_agent.broker(broker.clone()).start().await.unwrap();
        let comment_agent = Agent::new(CommentAgent::default()).bus(comment_bus.clone());
        let comment_agent = comment_agent.broker(broker.clone()).start().await.unwrap();
        let email_agent = Agent::new(EmailAgent).broker(broker.clone());
        let email_agent = email_agent.start().await.unwrap();

        send_strange(&mut scene.look());
        let receivers: [(&dyn Fn() -> Value, _); 2] = [
            (&|| user_agent.info(), "example_rpc_call"),
            (
                &|| comment_agent.info(),
                "example_signal_receiver_send_message",
            ),
        ];
        for (info, handler) in receivers {
            until_counted(info, handler, "undecodable").await;
        }
        let info = || email_agent.info();
        until_counted(&info, "example_read_queue", "undecodable").await;
        until_counted(&info, "example_read_queue", "dead_lettered").await;
        let strays = format!("strays: {}", strange().len());
        for bus in [user_bus, comment_bus] {
            until(
                &strays,
                || format!("{bus:?}"),
                |line| line.contains(&strays),
            )
            .await;
        }
        user_agent.stop().await.unwrap();
        comment_agent.stop().await.unwrap();
        email_agent.stop().await.unwrap();
    });
}

/// Waits until an agent has counted all of the bodies under this name.
async fn until_counted(info: &dyn Fn() -> Value, handler: &str, counter: &str) {
    let all = strange().len();
    let stats = || info()["stats"].clone();
    let what = format!("{handler}: {all} {counter}");
    until(&what, stats, |stats| stats[handler][counter] == all).await;
}

/// Asks until it is so.
async fn until<T: Debug>(what: &str, ask: impl Fn() -> T, is: impl Fn(&T) -> bool) {
    let asked = async {
        while !is(&ask()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let asked = tokio::time::timeout(SOON, asked).await;
    assert!(asked.is_ok(), "waited {SOON:?} for {what}: {:#?}", ask());
}
