//! The promises of the driver beyond the conformance suite, on a real Kafka.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a step that fails ends the test"
)]

mod members;
#[path = "../support/mod.rs"]
mod support;
mod suspects;

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt;
use microagent_core::{
    DeadReason, ErrorKind, Message, Queue, QueueBroker, Route, Selection, SendOptions, Settlement,
    header,
};
use microagent_kafka::{KafkaBroker, KafkaRecord};
use microagent_testing::KafkaServer;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use tokio::time::{Instant, sleep, timeout};

use members::members_that_come_and_go_lose_nothing_and_keep_the_order_of_keys;
use support::{
    connect, shared,
    steps::{LIMIT, body, consume, declare, length_becomes, next, queue, send},
};
use suspects::many_suspects_run_alone_and_only_the_killer_is_counted;

microagent_testing::needs! {
    kafka {
        multi_thread async fn one_that_fails_again_and_again_holds_nobody_up,
        multi_thread async fn keys_keep_their_order_while_others_pass,
        multi_thread async fn members_that_come_and_go_lose_nothing_and_keep_the_order_of_keys,
        multi_thread async fn many_suspects_run_alone_and_only_the_killer_is_counted,
        multi_thread async fn a_long_handler_keeps_its_partition,
        multi_thread async fn a_server_that_dies_loses_nothing_that_was_confirmed,
        multi_thread async fn records_of_others_are_messages,
        multi_thread async fn what_is_not_text_survives_as_a_dead_letter,
        multi_thread async fn foreign_metadata_loses_nothing,
        multi_thread async fn what_is_too_large_is_refused_before_it_is_sent,
        async fn an_absent_server_is_unavailable_after_the_deadline,
    }
}

/// The longest time from the answer of a restarted server to the next delivery. Without load it is 9 s.
const AFTER_RESTART: Duration = Duration::from_secs(60);

/// Line 40 of the failure contract.
async fn one_that_fails_again_and_again_holds_nobody_up() {
    let broker = connect(&shared().await.unwrap().dsn()).await.unwrap();
    let queue = queue("failing");
    declare(&broker, &queue, 1).await;
    let sending = (0..2_000).map(|n| send(&broker, &queue, n.to_string(), None));
    futures_util::future::join_all(sending).await;
    let mut stream = consume(&broker, &queue, 16).await;
    let (mut done, mut attempts) = (BTreeSet::new(), 0);
    while done.len() < 1_999 {
        let delivery = next(&mut stream).await;
        match delivery.message().native::<KafkaRecord>().unwrap().offset {
            5 => {
                attempts = delivery.message().attempt();
                delivery.retry(Duration::from_millis(10)).await.unwrap();
            }
            offset => {
                assert!(done.insert(offset), "{offset} came twice");
                drop(delivery.settle(Settlement::Ack));
            }
        }
    }
    assert!(attempts > 1, "it was not retried beside the others");
    length_becomes(&broker, &queue, 1).await;

    // The next owner repeats that one only, with its count.
    broker.close().await.unwrap();
    let later = connect(&shared().await.unwrap().dsn()).await.unwrap();
    let mut stream = consume(&later, &queue, 16).await;
    let again = next(&mut stream).await;
    assert_eq!(again.message().native::<KafkaRecord>().unwrap().offset, 5);
    assert!(
        again.message().attempt() >= attempts,
        "its attempts are kept"
    );
    assert_eq!(again.message().crashes(), 0);
    let settlement = Settlement::DeadLetter {
        queue: queue.dead_letter(),
        reason: DeadReason::Failed,
        detail: "no".to_owned(),
    };
    again.settle(settlement).await.unwrap();
    length_becomes(&later, &queue, 0).await;
    length_becomes(&later, &Queue::named(queue.dead_letter()).unwrap(), 1).await;
}

async fn keys_keep_their_order_while_others_pass() {
    let broker = connect(&shared().await.unwrap().dsn()).await.unwrap();
    let queue = queue("keyed");
    declare(&broker, &queue, 1).await;
    for (body, key) in [
        ("a1", Some("a")),
        ("a2", Some("a")),
        ("b1", Some("b")),
        ("c", None),
    ] {
        send(&broker, &queue, body.to_owned(), key.map(str::to_owned)).await;
    }
    let mut stream = consume(&broker, &queue, 8).await;
    let held = [
        next(&mut stream).await,
        next(&mut stream).await,
        next(&mut stream).await,
    ];
    assert_eq!(
        held.each_ref().map(body),
        ["a1", "b1", "c"],
        "one partition, three at a time"
    );
    let [first, b, c] = held;
    first.retry(Duration::from_millis(300)).await.unwrap();
    b.ack().await.unwrap();
    c.ack().await.unwrap();
    let again = next(&mut stream).await;
    assert_eq!(
        (body(&again), again.message().attempt()),
        ("a1".to_owned(), 2)
    );
    again.ack().await.unwrap();
    assert_eq!(body(&next(&mut stream).await), "a2");
}

/// Line 43 of the failure contract.
async fn a_long_handler_keeps_its_partition() {
    let dsn = format!(
        "{}?timeout=60&x.max.poll.interval.ms=6000&x.session.timeout.ms=6000",
        shared().await.unwrap().dsn()
    );
    let (broker, other) = (connect(&dsn).await.unwrap(), connect(&dsn).await.unwrap());
    let queue = queue("patient");
    declare(&broker, &queue, 1).await;
    send(&broker, &queue, "1".to_owned(), None).await;
    let mut stream = consume(&broker, &queue, 1).await;
    let held = next(&mut stream).await;
    let mut idle = consume(&other, &queue, 1).await;
    let came = timeout(Duration::from_secs(9), idle.next()).await;
    assert!(came.is_err(), "another has it: {came:?}");
    held.ack().await.unwrap();
    length_becomes(&broker, &queue, 0).await;
}

async fn connection_becomes(broker: &KafkaBroker, up: bool) {
    let deadline = Instant::now() + LIMIT;
    while broker.connection().unwrap().up != up {
        assert!(Instant::now() < deadline, "{:?}", broker.connection());
        sleep(Duration::from_millis(20)).await;
    }
}

async fn a_server_that_dies_loses_nothing_that_was_confirmed() {
    let server = KafkaServer::start().await.unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    let queue = queue("stubborn");
    declare(&broker, &queue, 1).await;
    let mut stream = consume(&broker, &queue, 8).await;
    let (route, mut sent) = (Route::from(queue.clone()), BTreeSet::new());
    for n in 0..200 {
        if n == 100 {
            server.kill();
            connection_becomes(&broker, false).await;
            server.restart().await.unwrap();
            let began = Instant::now();
            let delivery = next(&mut stream).await;
            let after = began.elapsed();
            connection_becomes(&broker, true).await;
            assert_eq!(broker.connection().unwrap().reconnects, 1);
            assert!(after < AFTER_RESTART, "{after:?}");
            drop(delivery);
        }
        let sending = async {
            loop {
                let body = n.to_string();
                match broker
                    .send(&route, body.clone().into(), SendOptions::default())
                    .await
                {
                    Ok(()) => return body,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
                }
            }
        };
        sent.insert(
            timeout(LIMIT, sending)
                .await
                .expect("a message that is accepted"),
        );
    }
    let mut received = BTreeSet::new();
    while received.len() < sent.len() {
        let delivery = next(&mut stream).await;
        received.insert(body(&delivery));
        drop(delivery.settle(Settlement::Ack));
    }
    assert_eq!(received, sent);
    length_becomes(&broker, &queue, 0).await;
}

/// A record without a body has an empty one, and keys and headers need not be text.
async fn records_of_others_are_messages() {
    let server = shared().await.unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    let queue = queue("foreign");
    declare(&broker, &queue, 1).await;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", server.address())
        .create()
        .unwrap();
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("foreign").key(b"\xff".as_slice());
    producer.send(record).unwrap();
    tokio::task::spawn_blocking(move || producer.flush(LIMIT))
        .await
        .unwrap()
        .unwrap();
    let mut stream = consume(&broker, &queue, 1).await;
    let tombstone = next(&mut stream).await;
    let message = tombstone.message();
    assert!(message.payload().is_empty() && message.key().is_none());
    let record = message.native::<KafkaRecord>().unwrap();
    assert_eq!((record.partition, record.offset), (0, 0));
    assert_eq!(record.key.as_deref(), Some(b"\xff".as_slice()));
    tombstone.ack().await.unwrap();
}

async fn what_is_not_text_survives_as_a_dead_letter() {
    let server = shared().await.unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    let queue = queue("binary");
    declare(&broker, &queue, 1).await;
    let raw = [
        ("none".to_owned(), None),
        ("raw".to_owned(), Some(vec![0xff])),
    ];
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", server.address())
        .create()
        .unwrap();
    let headers = raw.iter().map(|(key, value)| Header {
        key,
        value: value.as_ref(),
    });
    let headers = headers.fold(OwnedHeaders::new(), OwnedHeaders::insert);
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("binary")
        .key(b"\xff".as_slice())
        .payload(b"{}".as_slice())
        .headers(headers);
    producer.send(record).unwrap();
    tokio::task::spawn_blocking(move || producer.flush(LIMIT))
        .await
        .unwrap()
        .unwrap();
    let is_whole = |message: &Message| {
        let record = message.native::<KafkaRecord>().unwrap();
        assert_eq!(record.key.as_deref(), Some(b"\xff".as_slice()));
        assert_eq!(record.raw_headers, raw);
    };
    let mut stream = consume(&broker, &queue, 1).await;
    let delivery = next(&mut stream).await;
    is_whole(delivery.message());
    delivery.dead_letter("no").await.unwrap();

    let dead = Queue::named(queue.dead_letter()).unwrap();
    is_whole(&broker.peek(&dead, 1).await.unwrap()[0]);
    let moved = broker.requeue(&dead, &queue, &Selection::All).await;
    assert_eq!(moved.unwrap(), 1);
    let again = next(&mut stream).await;
    is_whole(again.message());
    assert_eq!(again.message().header(header::DEAD_REASON), None);
    again.ack().await.unwrap();
}

async fn foreign_metadata_loses_nothing() {
    let server = shared().await.unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    let queue = queue("meddled");
    declare(&broker, &queue, 1).await;
    for n in 0..3 {
        send(&broker, &queue, n.to_string(), None).await;
    }
    let address = server.address();
    let committing = tokio::task::spawn_blocking(move || {
        let other: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("group.id", "microagent.meddled")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition("meddled", 0);
        element.set_offset(Offset::Offset(1)).unwrap();
        element.set_metadata("v1:moved by hand");
        other.commit(&list, CommitMode::Sync).unwrap();
    });
    committing.await.unwrap();
    let mut stream = consume(&broker, &queue, 8).await;
    for n in ["1", "2"] {
        let delivery = next(&mut stream).await;
        assert_eq!(body(&delivery), n);
        delivery.ack().await.unwrap();
    }
    length_becomes(&broker, &queue, 0).await;
}

async fn what_is_too_large_is_refused_before_it_is_sent() {
    let broker = connect(&shared().await.unwrap().dsn()).await.unwrap();
    let queue = queue("large");
    declare(&broker, &queue, 1).await;
    let route = Route::from(queue.clone());
    let send = async |size: usize, key: usize| {
        let mut options = SendOptions::default();
        options.key = Some("k".repeat(key));
        options.headers = vec![("trace".to_owned(), "h".repeat(29_000))];
        broker.send(&route, vec![b'x'; size].into(), options).await
    };
    for (size, key) in [(20_000_000, 1), (1_000_001, 1), (1, 8_193)] {
        let refused = send(size, key).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PayloadTooLarge, "{refused}");
    }
    send(1_000_000, 8_192).await.unwrap();
    assert_eq!(broker.length(&queue).await.unwrap(), 1);
}

async fn an_absent_server_is_unavailable_after_the_deadline() {
    let broker = connect("kafka://127.0.0.1:1?timeout=2").await.unwrap();
    let route = Route::from(queue("nowhere"));
    let sending = broker.send(&route, "{}".into(), SendOptions::default());
    let failed = timeout(LIMIT, sending)
        .await
        .expect("an answer")
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed}");
    timeout(LIMIT, broker.close())
        .await
        .expect("an end")
        .unwrap();
}
