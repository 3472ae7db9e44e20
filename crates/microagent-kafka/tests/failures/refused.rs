//! Refusals: servers that cannot be found, logins, topics, and records that others have sent.

use std::net::TcpListener;

use microagent_core::{ConsumeOptions, DeclareOptions, ErrorKind, Queue, QueueBroker, header};
use microagent_kafka::{KafkaBroker, KafkaOptions};
use microagent_testing::KafkaServer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::bench::{
    DEAD, JOBS, MINUTES, PATIENCE, bench, connect, consume, ends_well, error_of, job, next,
    number_of, send, within,
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn an_unknown_host_is_an_error_that_names_it,
        multi_thread async fn a_wrong_login_and_a_forbidden_topic_are_errors_that_name_them,
        multi_thread async fn a_topic_that_the_server_cannot_create_is_an_error_that_names_it,
        multi_thread async fn records_without_a_body_become_dead_letters,
        multi_thread async fn a_record_of_20_mb_loses_nothing_and_holds_up_nobody,
    }
}

/// A host that does not exist: each operation is `Unavailable` and names it, and the broker closes.
async fn an_unknown_host_is_an_error_that_names_it() {
    let broker = connect("kafka://nowhere.invalid:9092").await.unwrap();
    for error in [
        error_of(within(PATIENCE, "an answer", send(&broker, job(0))).await),
        error_of(within(PATIENCE, "an answer", broker.length(&JOBS)).await),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("nowhere.invalid"), "{error}");
    }
    within(PATIENCE, "an end", broker.close()).await.unwrap();
}

/// A server that asks for a login on a port of its own, and lets the user `shop` do nothing.
async fn server_with_logins() -> (KafkaServer, String) {
    let login = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let listeners = format!("PLAINTEXT://127.0.0.1:{{port}},LOGIN://{login}");
    let lines = [
        format!("listeners={listeners},CONTROLLER://127.0.0.1:{{control}}"),
        format!("advertised.listeners={listeners}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        "sasl.enabled.mechanisms=PLAIN".to_owned(),
        "listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_shop=\"s3cret\";".to_owned(),
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        "super.users=User:ANONYMOUS".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let server = KafkaServer::start_with(&lines).await.unwrap();
    (server, login.to_string())
}

fn with_login(place: &str, password: &str) -> String {
    format!(
        "kafka://{place}?x.security.protocol=sasl_plaintext&x.sasl.mechanisms=PLAIN&x.sasl.username=shop&x.sasl.password={password}"
    )
}

/// A wrong password is an error that says so, without the password. A user who may do nothing gets errors that name the queue.
async fn a_wrong_login_and_a_forbidden_topic_are_errors_that_name_them() {
    let (server, place) = server_with_logins().await;
    let stranger = connect(&with_login(&place, "wr0ng")).await.unwrap();
    let error = error_of(within(PATIENCE, "an answer", send(&stranger, job(0))).await);
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Refused, "{text}");
    assert!(text.to_lowercase().contains("authentication"), "{text}");
    assert!(!text.contains("wr0ng"), "{text}");
    stranger.close().await.unwrap();

    let shop = connect(&with_login(&place, "s3cret")).await.unwrap();
    let options = DeclareOptions::default();
    for error in [
        error_of(within(PATIENCE, "an answer", shop.declare(&JOBS, &options)).await),
        error_of(within(PATIENCE, "an answer", consuming(&shop)).await),
    ] {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("jobs"), "{error}");
    }
    shop.close().await.unwrap();

    let open = connect(&server.dsn()).await.unwrap();
    let mut jobs = consume(&open, 1).await;
    send(&open, job(1)).await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    open.close().await.unwrap();

    let error = error_of(KafkaOptions::parse(
        "kafka://localhost?x.security.protocol=sassl",
    ));
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

async fn consuming(broker: &KafkaBroker) -> microagent_core::Result<()> {
    broker
        .consume(&JOBS, ConsumeOptions::default())
        .await
        .map(drop)
}

/// More replicas than there are servers: the error names the queue, and the broker goes on.
async fn a_topic_that_the_server_cannot_create_is_an_error_that_names_it() {
    let bench = bench().await;
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
    bench.until_length(&broker, &DEAD, 2).await;
    bench.until_length(&broker, &JOBS, 0).await;
    for dead in broker.peek(&DEAD, 2).await.unwrap() {
        assert_eq!(dead.header(header::DEAD_REASON), Some("undecodable"));
        assert_eq!(dead.key(), Some("k"));
        assert!(dead.payload().is_empty());
    }
    ends_well(worker).await;
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
    // It is stored, or the settlement says why not.
    match within(PATIENCE, "an answer", first.dead_letter("too large")).await {
        Ok(()) => assert_eq!(broker.length(&DEAD).await.unwrap(), 1),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::PayloadTooLarge, "{error}");
            assert_eq!(broker.length(&JOBS).await.unwrap(), 1);
        }
    }
    broker.close().await.unwrap();
}
