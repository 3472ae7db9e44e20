//! Refusals: servers that cannot be found, topics, and records that others have sent.

use microagent_core::{DeclareOptions, ErrorKind, Queue, QueueBroker, header};
use microagent_testing::KafkaServer;
use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::bench::{
    DEAD, JOBS, MINUTES, PATIENCE, bench, connect, consume, error_of, job, next, number_of,
    patient_bench, send, send_bytes, until_length, within,
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn an_unknown_host_is_an_error_that_names_it,
        multi_thread async fn a_topic_that_the_server_cannot_create_is_an_error_that_names_it,
        multi_thread async fn records_without_a_body_become_dead_letters,
        multi_thread async fn a_record_of_20_mb_loses_nothing_and_holds_up_nobody,
        multi_thread async fn a_dead_letter_that_the_server_refuses_comes_again_and_holds_up_nobody,
    }
}

/// A host that does not exist: each operation is `Unavailable` and names it, and the broker closes.
async fn an_unknown_host_is_an_error_that_names_it() {
    let broker = connect("kafka://nowhere.invalid:9092?timeout=3")
        .await
        .unwrap();
    for error in [
        error_of(within(PATIENCE, "an answer", send(&broker, job(0))).await),
        error_of(within(PATIENCE, "an answer", broker.length(&JOBS)).await),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("nowhere.invalid"), "{error}");
    }
    within(PATIENCE, "an end", broker.close()).await.unwrap();
}

/// More replicas than there are servers: the error names the queue, and the broker goes on.
async fn a_topic_that_the_server_cannot_create_is_an_error_that_names_it() {
    // A member that is taken for dead would store some twice.
    let bench = patient_bench("").await;
    let broker = bench.broker().await;
    let mut options = DeclareOptions::default();
    options.native.insert("replication".into(), "3".into());
    let copied = Queue::new("copied");
    let error = error_of(broker.declare(&copied, &options).await);
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("copied"), "{error}");
    let mut jobs = consume(&broker, 1).await;
    send(&broker, job(1)).await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    broker.close().await.unwrap();
}

/// Sends records that are not ours.
async fn send_foreign(producer: BaseProducer, bodies: Vec<Option<Vec<u8>>>) {
    let sending = tokio::task::spawn_blocking(move || {
        for body in &bodies {
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("jobs").key(b"k".as_slice());
            let record = match body {
                Some(body) => record.payload(body),
                None => record,
            };
            producer.send(record).unwrap();
        }
        producer.flush(MINUTES).unwrap();
    });
    sending.await.unwrap();
}

/// Tombstones have nothing to decode: they are dead letters at once, with the reason, and what follows is handled.
async fn records_without_a_body_become_dead_letters() {
    let bench = bench().await;
    bench.push([]).await;
    let producer = bench.server.client().create().unwrap();
    send_foreign(producer, vec![None, None]).await;
    bench.push([job(1)]).await;
    let worker = bench.worker(4, 8);
    bench.journal.handled(1, MINUTES).await;
    let broker = bench.broker().await;
    until_length(&broker, &DEAD, 2).await;
    until_length(&broker, &JOBS, 0).await;
    for dead in broker.peek(&DEAD, 2).await.unwrap() {
        assert_eq!(dead.header(header::DEAD_REASON), Some("undecodable"));
        assert_eq!(dead.key(), Some("k"));
        assert!(dead.payload().is_empty());
    }
    worker.ends_well().await;
    broker.close().await.unwrap();
}

/// A record that is larger than what this driver sends, from another program on a server that allows it: a handler gets it, its dead
/// letter is not lost, and its neighbours are handled.
async fn a_record_of_20_mb_loses_nothing_and_holds_up_nobody() {
    let server = KafkaServer::start_with(&["message.max.bytes=31457280"])
        .await
        .unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    broker
        .declare(&JOBS, &DeclareOptions::default())
        .await
        .unwrap();
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", server.address())
        .set("message.max.bytes", "31457280");
    let large = vec![b'x'; 20_000_000];
    send_foreign(config.create().unwrap(), vec![Some(large.clone())]).await;
    send(&broker, job(1)).await.unwrap();
    let mut jobs = consume(&broker, 2).await;
    let (first, neighbour) = (next(&mut jobs).await, next(&mut jobs).await);
    assert!(
        first.message().payload() == large.as_slice(),
        "as it was sent"
    );
    assert_eq!(number_of(&neighbour), 1);
    neighbour.ack().await.unwrap();
    within(PATIENCE, "an answer", first.dead_letter("too large"))
        .await
        .unwrap();
    until_length(&broker, &DEAD, 1).await;
    until_length(&broker, &JOBS, 0).await;
    let dead = broker.peek(&DEAD, 1).await.unwrap().remove(0);
    assert!(dead.payload() == large.as_slice(), "as it was sent");
    broker.close().await.unwrap();
}

/// The topic of the dead letters takes less than the queue: the settlement says so, the message stays and is delivered again, others are
/// handled, and when the topic takes it, it is a dead letter.
async fn a_dead_letter_that_the_server_refuses_comes_again_and_holds_up_nobody() {
    let bench = patient_bench("").await;
    let admin: AdminClient<DefaultClientContext> = bench.server.client().create().unwrap();
    let limits = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let small = NewTopic::new("jobs.dead", 1, TopicReplication::Fixed(1));
    let small = small.set("max.message.bytes", "1000");
    let created = admin.create_topics([&small], &limits).await.unwrap();
    assert_eq!(created, [Ok("jobs.dead".to_owned())]);
    let broker = bench.broker().await;
    let mut jobs = consume(&broker, 1).await;
    let large = format!(r#"{{"n": 1, "text": "{}"}}"#, "x".repeat(2000));
    send_bytes(&broker, large.clone()).await.unwrap();

    let first = next(&mut jobs).await;
    let error = error_of(within(PATIENCE, "an answer", first.dead_letter("given up")).await);
    assert_eq!(error.kind(), ErrorKind::PayloadTooLarge, "{error}");
    assert!(error.to_string().contains("jobs.dead"), "{error}");
    send(&broker, job(2)).await.unwrap();
    let neighbour = next(&mut jobs).await;
    assert_eq!(number_of(&neighbour), 2);
    neighbour.ack().await.unwrap();
    until_length(&broker, &JOBS, 1).await;
    assert_eq!(broker.length(&DEAD).await.unwrap(), 0);

    let again = next(&mut jobs).await;
    assert_eq!((number_of(&again), again.message().attempt()), (1, 2));
    let topic = ResourceSpecifier::Topic("jobs.dead");
    let larger = AlterConfig::new(topic).set("max.message.bytes", "100000");
    let changed = admin.alter_configs([&larger], &limits).await.unwrap();
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
    again.dead_letter("given up").await.unwrap();
    until_length(&broker, &DEAD, 1).await;
    until_length(&broker, &JOBS, 0).await;
    let dead = broker.peek(&DEAD, 1).await.unwrap().remove(0);
    assert_eq!(dead.payload(), large.as_bytes());
    broker.close().await.unwrap();
}
