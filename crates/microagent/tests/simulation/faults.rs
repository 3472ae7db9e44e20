//! The effect of each fault, alone.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use microagent::{Clock, ErrorKind, prelude::*};
use microagent_testing::{Faults, Group, Simulation};
use tokio::time::sleep;

use super::{MAILER, Mailer, OrderPlaced, Outside, SECOND};

const COUNT: u64 = 100;

/// A mailer that got so many mails and signals, under these faults.
fn run(faults: Faults, test: impl Fn(Outside)) {
    Simulation::new().seeds(0..3).faults(faults).run(|group| {
        let (outside, test) = (Outside::default(), &test);
        async move {
            start(&group, &outside).await?;
            for number in 0..COUNT {
                group
                    .broker()
                    .send(MAILER, &json!({"number": number}))
                    .await?;
                group.bus().send("test", OrderPlaced { number }).await?;
            }
            sleep(60 * SECOND).await;
            test(outside);
            Ok(())
        }
    });
}

async fn start(group: &Group, outside: &Outside) -> Result<()> {
    let outside = outside.clone();
    let mailer = move || {
        Agent::new(Mailer {
            outside: outside.clone(),
        })
    };
    group.start("mailer", mailer).await
}

fn of(outside: &Outside, what: &str) -> Vec<u64> {
    let lines = outside.read();
    let of = lines.iter().filter_map(|line| line.strip_prefix(what));
    of.map(|number| number.trim().parse().unwrap()).collect()
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_lost_acknowledgement_is_a_second_delivery() {
    run(Faults::none().duplicate(0.3), |outside| {
        let mails = of(&outside, "mail");
        let twice = mails.len() as u64 - COUNT;
        assert!((10..100).contains(&twice), "{twice} came again");
        let mut each = sorted(mails);
        each.dedup();
        assert_eq!(each, (0..COUNT).collect::<Vec<_>>());
        assert_eq!(of(&outside, "placed").len() as u64, COUNT, "signals do not");
    });
}

#[test]
fn late_signals_keep_their_order() {
    run(Faults::none().delay(0.5, SECOND), |outside| {
        assert_eq!(of(&outside, "placed"), (0..COUNT).collect::<Vec<_>>());
        assert_eq!(sorted(of(&outside, "mail")), (0..COUNT).collect::<Vec<_>>());
    });
}

#[test]
fn a_delayed_message_is_overtaken_and_arrives() {
    run(Faults::none().reorder(0.2, SECOND), |outside| {
        for what in ["placed", "mail"] {
            let order = of(&outside, what);
            let passed = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
            // Two handlers at a time may swap neighbours; what was held back comes far behind.
            assert!(passed > 5, "{what}: {order:?}");
            assert_eq!(sorted(order), (0..COUNT).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_late_signal_is_late() {
    Simulation::new()
        .seeds(0..3)
        .faults(Faults::none().delay(1.0, 10 * SECOND))
        .run(|group| async move {
            let outside = Outside::default();
            start(&group, &outside).await?;
            group.bus().send("test", OrderPlaced { number: 1 }).await?;
            sleep(Duration::from_millis(1)).await;
            let at_once = outside.read().len();
            sleep(10 * SECOND).await;
            assert_eq!((at_once, outside.read().len()), (0, 1));
            Ok(())
        });
}

#[test]
fn a_crash_loses_what_the_process_holds_and_nothing_else() {
    Simulation::new().seeds(0..3).run(|group| async move {
        let outside = Outside::default();
        start(&group, &outside).await?;
        for number in 0..4 {
            group
                .broker()
                .send(MAILER, &json!({"number": number}))
                .await?;
        }
        // Two are being handled; then it dies.
        sleep(Duration::from_millis(20)).await;
        assert!(group.info("mailer").is_some() && group.info("nobody").is_none());
        assert!(group.crash("mailer") && !group.crash("mailer"));
        assert!(group.info("mailer").is_none());
        sleep(Duration::from_millis(1)).await;
        assert_eq!(outside.read().len(), 0);
        group.end_faults().await;
        sleep(60 * SECOND).await;
        assert_eq!(sorted(of(&outside, "mail")), [0, 1, 2, 3]);
        let record = group.record().join("\n");
        assert!(record.contains("0.020 mailer is killed"), "{record}");
        assert!(record.contains("mailer is back"), "{record}");
        Ok(())
    });
}

#[test]
fn the_dead_send_and_settle_nothing() {
    Simulation::new().seeds(0..1).run(|group| async move {
        let outside = Outside::default();
        start(&group, &outside).await?;
        group.crash("mailer");
        // Nobody listens until it is back.
        let call = group.bus().call("test", OrderPlaced { number: 1 }).await;
        assert_eq!(call.unwrap_err().kind(), ErrorKind::NoResponders);
        group.end_faults().await;
        group.bus().call("test", OrderPlaced { number: 2 }).await?;
        Ok(())
    });
}

#[test]
fn crashes_come_now_and_then() {
    let faults = Faults::none().crash_every(10 * SECOND);
    Simulation::new()
        .seeds(0..3)
        .faults(faults)
        .run(|group| async move {
            start(&group, &Outside::default()).await?;
            sleep(1000 * SECOND).await;
            let killed = |group: &Group| {
                let record = group.record().into_iter();
                record.filter(|line| line.contains("is killed")).count()
            };
            let before = killed(&group);
            assert!(
                (60..160).contains(&before),
                "{before} crashes in 100 times 10 s"
            );
            group.end_faults().await;
            sleep(1000 * SECOND).await;
            assert_eq!(
                killed(&group),
                before,
                "no member is killed after the end of the faults"
            );
            assert!(group.info("mailer").is_some());
            Ok(())
        });
}

struct Billing {
    outside: Outside,
}

#[agent]
impl Billing {
    #[cron("* * * * *", once)]
    async fn invoice(&self) {
        self.outside.write("invoice");
    }
}

#[test]
fn clocks_that_differ_do_not_make_a_run_twice() {
    let faults = Faults::none().skew(2 * SECOND);
    Simulation::new()
        .seeds(0..10)
        .faults(faults)
        .run(|group| async move {
            let outside = Outside::default();
            for replica in ["one", "two", "three"] {
                let outside = outside.clone();
                let billing = move || {
                    Agent::new(Billing {
                        outside: outside.clone(),
                    })
                };
                group.start(replica, billing).await?;
            }
            let began = group.clock().now();
            assert_eq!(
                began,
                SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
            );
            sleep(Duration::from_secs(200 * 60 + 30)).await;
            // A clock that is behind may see midnight yet.
            let runs = outside.read().len();
            assert!((200..=201).contains(&runs), "{runs} runs");
            Ok(())
        });
}

#[test]
fn a_name_is_taken_once_and_a_stopped_member_stays_stopped() {
    Simulation::new().seeds(0..1).run(|group| async move {
        let outside = Outside::default();
        start(&group, &outside).await?;
        let error = start(&group, &outside).await.unwrap_err();
        assert_eq!(error.to_string(), "duplicate member `mailer` of the group");
        assert!(group.stop("mailer").await? && !group.stop("mailer").await?);
        group.broker().send(MAILER, &json!({"number": 1})).await?;
        sleep(60 * SECOND).await;
        assert_eq!(outside.read().len(), 0);
        let options = microagent::driver::ConsumeOptions::default();
        let mut waiting = group.broker().driver().consume(&MAILER, options).await?;
        waiting.next().await.unwrap().ack().await
    });
}
