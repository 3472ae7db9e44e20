//! Line 74: records that make no sense, and keys of a wrong type. Each script with each of its keys: `src/broker/scripts/tests.rs`.

use futures_util::{FutureExt, StreamExt};
use microagent_core::{QueueBroker, header};
use redis::AsyncCommands;

use crate::bench::{Bench, Log, RECOVERY, bench, consume, job, next, number_of, until, within};

microagent_testing::needs! {
    redis {
        async fn line_74_an_unreadable_record_holds_up_nobody,
        async fn line_74_an_entry_without_a_body_is_removed,
        async fn line_74_a_body_without_its_order_is_delivered,
        async fn line_74_a_recovery_is_stopped_by_no_record,
        async fn line_74_a_side_key_of_a_wrong_type_loses_nothing,
        async fn a_removed_message_changes_no_other_acknowledgement,
    }
}

/// Puts a message aside with these words beside it.
async fn aside(bench: &mut Bench, set: &str, id: &str, meta: Option<&str>, body: Option<&str>) {
    let look = &mut bench.look;
    let () = look.zadd(format!("{{jobs}}:{set}"), id, 1).await.unwrap();
    if let Some(meta) = meta {
        let () = look.hset("{jobs}:meta", id, meta).await.unwrap();
    }
    if let Some(body) = body {
        let () = look.hset("{jobs}:later", id, body).await.unwrap();
    }
}

/// 74. A record that makes no sense among 15 that do: these are handled, its body becomes a dead letter, and the log names it once.
async fn line_74_an_unreadable_record_holds_up_nobody() {
    for (set, id, meta) in [
        ("due", "no-id", Some("2 0")),
        ("due", "007", Some("2 0")),
        ("due", "99999999999999999999999", None),
        ("due", "7", Some("garbage")),
        ("due", "7", Some("2 99999999999999")),
        ("suspects", "no-id", Some("1 1")),
        ("suspects", "7", Some("\u{fffd}")),
    ] {
        let mut bench = bench().await;
        let log = Log::default();
        let _recorded = log.record();
        aside(&mut bench, set, id, meta, Some(r#"{"n":0}"#)).await;
        for n in 1..=15 {
            let (id, body) = (format!("{}", n + 100), job(n).to_string());
            aside(&mut bench, set, &id, Some("2 0"), Some(&body)).await;
        }
        let broker = bench.driver().await;
        let mut jobs = consume(&broker, 3).await;
        for _ in 1..=15 {
            let delivery = next(&mut jobs).await;
            assert_ne!(number_of(&delivery), 0);
            delivery.ack().await.unwrap();
        }
        wait_for_dead_letter(&mut bench).await;
        drop(jobs);
        broker.close().await.expect("a clean end");
        bench.assert_nothing_is_left().await;
        let named = log.text().matches("unreadable record").count();
        assert_eq!(named, 1, "{set} {id} {meta:?}: {}", log.text());
        let dead = bench.dead_letter().await;
        assert_eq!(dead[header::DEAD_REASON], "undecodable");
        assert!(dead[header::DEAD_DETAIL].contains(id), "{dead:?}");
    }
}

async fn wait_for_dead_letter(bench: &mut Bench) {
    let mut look = bench.look.clone();
    until("the dead letter", RECOVERY, async || {
        look.llen::<_, usize>("jobs.dead").await.unwrap() == 1
    })
    .await;
    let body: Vec<String> = bench.look.lrange("jobs.dead", 0, -1).await.unwrap();
    assert_eq!(body, [r#"{"n":0}"#]);
}

/// 74. Entries to which no body belongs are removed, and named.
async fn line_74_an_entry_without_a_body_is_removed() {
    let mut bench = bench().await;
    let log = Log::default();
    let _recorded = log.record();
    aside(&mut bench, "due", "nobody", None, None).await;
    aside(&mut bench, "suspects", "nobody-else", None, None).await;
    aside(&mut bench, "suspects", "8", Some("1 1"), Some(r#"{"n":1}"#)).await;
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 1).await;
    let delivery = next(&mut jobs).await;
    assert_eq!((number_of(&delivery), delivery.message().crashes()), (1, 1));
    delivery.ack().await.unwrap();
    bench.assert_nothing_is_left().await;
    assert!(log.text().contains("nobody"), "{}", log.text());
}

/// 74. The order in which messages wait is removed, and not their bodies: they are delivered, with what is known of them.
async fn line_74_a_body_without_its_order_is_delivered() {
    let mut bench = bench().await;
    aside(&mut bench, "due", "7", Some("3 0 5"), Some(r#"{"n":0}"#)).await;
    aside(&mut bench, "suspects", "8", Some("1 2"), Some(r#"{"n":1}"#)).await;
    let () = bench.look.del("{jobs}:due").await.unwrap();
    let () = bench.look.del("{jobs}:suspects").await.unwrap();
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 1).await;
    for known in [(0, 3, 0), (1, 1, 2)] {
        let delivery = next(&mut jobs).await;
        let message = delivery.message();
        let (attempt, crashes) = (message.attempt(), message.crashes());
        assert_eq!((number_of(&delivery), attempt, crashes), known);
        delivery.ack().await.unwrap();
    }
    bench.assert_nothing_is_left().await;
}

/// 74. A dead consumer and an ended one with unreadable records in flight: their other messages come back.
async fn line_74_a_recovery_is_stopped_by_no_record() {
    for dies in [true, false] {
        let mut bench = bench().await;
        bench.push((0..4).map(job)).await;
        let broker = bench.driver().await;
        let mut jobs = consume(&broker, 4).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(next(&mut jobs).await);
        }
        let first = held.iter().find(|job| number_of(job) == 0).unwrap();
        let id = first.message().id().unwrap();
        let () = bench.look.hset("{jobs}:meta", id, "garbage").await.unwrap();
        if dies {
            broker.crash();
            std::mem::forget(held);
            std::mem::forget(jobs);
        } else {
            let taken: Vec<String> = bench.look.keys("{jobs}:taken:*").await.unwrap();
            let () = bench
                .look
                .hset(&taken[0], "no-id", job(4).to_string())
                .await
                .unwrap();
            let () = bench
                .look
                .hset("{jobs}:meta", "no-id", "1 0")
                .await
                .unwrap();
            drop(jobs);
            let closed = within(RECOVERY, "the end", broker.close()).await;
            closed.expect("a clean end");
            std::mem::forget(held);
        }
        let next_broker = bench.driver().await;
        let mut jobs = consume(&next_broker, 1).await;
        let mut numbers = Vec::new();
        for _ in 1..4 {
            let delivery = next(&mut jobs).await;
            numbers.push(number_of(&delivery));
            delivery.ack().await.unwrap();
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3], "{dies}");
        let dead = if dies { 1 } else { 2 };
        let mut look = bench.look.clone();
        until("the dead letters", RECOVERY, async || {
            look.llen::<_, usize>("jobs.dead").await.unwrap() == dead
        })
        .await;
        bench.assert_nothing_is_left().await;
    }
}

/// 74. A side key of a wrong type: no body leaves its place, the error names the key, and all goes on when the key is gone.
async fn line_74_a_side_key_of_a_wrong_type_loses_nothing() {
    for key in [
        "inbox", "ids", "due", "later", "meta", "leases", "suspects", "why", "bad",
    ] {
        let mut bench = bench().await;
        let log = Log::default();
        let _recorded = log.record();
        let name = format!("{{jobs}}:{key}");
        let () = match key {
            "ids" => bench.look.rpush(&name, "x").await.unwrap(),
            _ => bench.look.set(&name, "x").await.unwrap(),
        };
        bench.push((0..20).map(job)).await;
        let broker = bench.driver().await;
        let mut jobs = consume(&broker, 4).await;
        until("the warning", RECOVERY, async || {
            log.text().contains("WRONGTYPE") && log.text().contains(&name)
        })
        .await;
        assert_eq!(bench.length("jobs").await, 20, "{key}");
        let () = bench.look.del(&name).await.unwrap();
        for _ in 0..20 {
            next(&mut jobs).await.ack().await.unwrap();
        }
        bench.assert_nothing_is_left().await;
        assert!(jobs.next().now_or_never().is_none());
    }
}

/// Somebody removes one of three messages that are in flight. The other two are acknowledged together with it: they succeed,
/// and their records are removed.
async fn a_removed_message_changes_no_other_acknowledgement() {
    let mut bench = bench().await;
    for n in 1..=3 {
        let (id, body) = (n.to_string(), job(n).to_string());
        aside(&mut bench, "due", &id, Some("2 0"), Some(&body)).await;
    }
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 3).await;
    let mut deliveries = Vec::new();
    for _ in 0..3 {
        deliveries.push(next(&mut jobs).await);
    }
    let in_flight: Vec<String> = bench.look.keys("{jobs}:taken:*").await.unwrap();
    let removed: u64 = bench.look.hdel(&in_flight[0], "2").await.unwrap();
    assert_eq!(removed, 1);

    let acks = deliveries.into_iter().map(|delivery| async {
        let number = number_of(&delivery);
        (number, delivery.ack().await.is_ok())
    });
    let mut acks = futures_util::future::join_all(acks).await;
    acks.sort_unstable();
    assert_eq!(acks, [(1, true), (2, false), (3, true)]);
    let records: Vec<String> = bench.look.hkeys("{jobs}:meta").await.unwrap();
    assert_eq!(records, ["2"], "nobody knows whose record this is");
}
