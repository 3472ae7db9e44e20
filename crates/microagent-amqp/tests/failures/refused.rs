//! Refusals of the server: logins, virtual hosts, queues, messages.

use lapin::{
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use microagent_amqp::AmqpBroker;
use microagent_core::{
    ConsumeOptions, DeclareOptions, ErrorKind, Queue, QueueBroker, Route, SendOptions,
};

use crate::{
    bench::{
        Bench, DEAD, JOBS, Log, PATIENCE, bench, connect, consume, error_of, job, next, number_of,
        send, until, until_length, within,
    },
    server::raw,
};

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn line_12_a_bad_password_and_an_unknown_virtual_host_are_errors_at_once,
        multi_thread async fn line_32_a_message_that_no_queue_takes_is_an_error,
        async fn line_72_a_forbidden_dead_letter_queue_loses_nothing_and_is_used_when_it_is_permitted,
        multi_thread async fn a_forbidden_queue_is_an_error_that_names_it,
        multi_thread async fn a_body_of_20_mb_is_refused_and_nothing_else,
        async fn a_queue_that_exists_with_other_arguments_is_used_as_it_is,
    }
}

/// 12. A wrong password and an unknown virtual host are errors at once, which name the place and not the password.
async fn line_12_a_bad_password_and_an_unknown_virtual_host_are_errors_at_once() {
    let bench = bench().await;
    let place = bench.server.server().address();
    let error = error_of(connect(&format!("amqp://guest:s3cret@{place}/")).await);
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains(&place) && text.contains("ACCESS_REFUSED"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
    let error = error_of(connect(&format!("amqp://guest:guest@{place}/elsewhere")).await);
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains(&place) && text.contains("elsewhere not found"),
        "{text}"
    );
}

/// 32. A message for a queue or an exchange that does not exist is an error for its sender, and for nobody else.
async fn line_32_a_message_that_no_queue_takes_is_an_error() {
    let bench = bench().await;
    bench.push([]).await;
    let broker = bench.broker().await;
    let nowhere = Route::from(Queue::new("nowhere"));
    let missing = Route {
        exchange: Some("missing".to_owned()),
        ..nowhere.clone()
    };
    let body = || "{}".into();
    let (unknown_queue, unknown_exchange, known) = tokio::join!(
        broker.send(&nowhere, body(), SendOptions::default()),
        broker.send(&missing, body(), SendOptions::default()),
        send(&broker, job(0)),
    );
    known.unwrap();
    for (error, name) in [
        (error_of(unknown_queue), "`nowhere`"),
        (error_of(unknown_exchange), "`missing`"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unroutable, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    until_length(&broker, &JOBS, 1).await;
    broker.close().await.unwrap();
}

/// A user who may do this much.
async fn user(bench: &Bench, configure: &str) -> AmqpBroker {
    let server = &bench.server;
    // The server may have the user of another test.
    let add = r#"case rabbit_auth_backend_internal:exists(<<"shop">>) of true -> ok;
        false -> rabbit_auth_backend_internal:add_user(<<"shop">>, <<"shop">>, <<"tests">>) end."#;
    server.control(&["eval", add]).await;
    permit(bench, configure).await;
    let address = bench.address().replace("guest:guest", "shop:shop");
    connect(&address).await.unwrap()
}

async fn permit(bench: &Bench, configure: &str) {
    let permit = ["set_permissions", "shop", configure, ".*", "jobs.*"];
    bench.server.control(&permit).await;
}

/// A queue that a user may neither create nor read is an error that names it, with the server's words.
async fn a_forbidden_queue_is_an_error_that_names_it() {
    let bench = bench().await;
    let broker = user(&bench, "^jobs.*").await;
    let secret = Queue::new("secret");
    let error = error_of(broker.declare(&secret, &DeclareOptions::default()).await);
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(
        error.to_string().contains("secret") && error.to_string().contains("ACCESS_REFUSED"),
        "{error}"
    );
    let error = error_of(
        broker
            .consume(&secret, ConsumeOptions::default())
            .await
            .map(drop),
    );
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("secret"), "{error}");
    // The broker goes on.
    let mut jobs = consume(&broker, 1).await;
    send(&broker, job(0)).await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    broker.close().await.unwrap();
}

/// 72. The queue of dead letters is forbidden: one warning names it, nothing is lost, and the permission needs no restart.
async fn line_72_a_forbidden_dead_letter_queue_loses_nothing_and_is_used_when_it_is_permitted() {
    let bench = bench().await;
    let log = Log::default();
    let _recorded = log.record();
    let broker = user(&bench, "^jobs$|^jobs.suspects$").await;
    let mut jobs = consume(&broker, 2).await;
    send(&broker, job(0)).await.unwrap();
    let bad = next(&mut jobs).await;
    let parking = tokio::spawn(bad.dead_letter("it fails"));
    until("the warning", PATIENCE, async || {
        log.text().contains("ACCESS_REFUSED")
    })
    .await;
    for n in 1..=5 {
        send(&broker, job(n)).await.unwrap();
        let neighbour = next(&mut jobs).await;
        assert_eq!(number_of(&neighbour), n);
        neighbour.ack().await.unwrap();
    }
    assert!(!parking.is_finished());
    permit(&bench, "^jobs.*").await;
    within(PATIENCE, "the settlement", parking)
        .await
        .unwrap()
        .unwrap();
    until_length(&broker, &DEAD, 1).await;
    let text = log.text();
    let warnings = text
        .lines()
        .filter(|line| line.contains("cannot move a message") && line.contains("ACCESS_REFUSED"));
    let warnings: Vec<_> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{text}");
    assert!(warnings[0].contains("jobs.dead"), "{text}");

    // While it is forbidden, a stop takes no longer than it may, and the message is delivered again.
    bench.server.delete_queue("jobs.dead").await;
    permit(&bench, "^jobs$|^jobs.suspects$").await;
    let second = user(&bench, "^jobs$|^jobs.suspects$").await;
    drop(jobs);
    broker.close().await.unwrap();
    let mut jobs = consume(&second, 2).await;
    send(&second, job(6)).await.unwrap();
    let parking = tokio::spawn(next(&mut jobs).await.dead_letter("it fails"));
    tokio::task::yield_now().await;
    let closed = within(PATIENCE, "the stop", second.close()).await;
    assert_eq!(error_of(closed).kind(), ErrorKind::Timeout);
    let parked = within(PATIENCE, "the settlement", parking).await.unwrap();
    assert!(error_of(parked).to_string().contains("again"));
    drop(jobs);
    let third = bench.broker().await;
    let mut jobs = consume(&third, 1).await;
    let again = next(&mut jobs).await;
    assert_eq!(number_of(&again), 6);
    again.dead_letter("it fails").await.unwrap();
    until_length(&third, &DEAD, 1).await;
    third.close().await.unwrap();
}

/// A body of 20 MB is refused before anything is sent, and the broker goes on.
async fn a_body_of_20_mb_is_refused_and_nothing_else() {
    let bench = bench().await;
    let broker = bench.broker().await;
    let mut jobs = consume(&broker, 1).await;
    let large = vec![b'x'; 20_000_000];
    let error = error_of(
        broker
            .send(&JOBS.into(), large.into(), SendOptions::default())
            .await,
    );
    assert_eq!(error.kind(), ErrorKind::PayloadTooLarge);
    assert!(error.to_string().contains("jobs"), "{error}");
    send(&broker, job(1)).await.unwrap();
    let next = next(&mut jobs).await;
    assert_eq!(number_of(&next), 1);
    next.ack().await.unwrap();
    broker.close().await.unwrap();
}

/// A queue that exists with other arguments is used as it is, what it contains is handled, and the log says what differs.
async fn a_queue_that_exists_with_other_arguments_is_used_as_it_is() {
    let bench = bench().await;
    let log = Log::default();
    let _recorded = log.record();
    let connection = raw(bench.server.server()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1000));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("jobs".into(), options, arguments)
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
    let broker = bench.broker().await;
    send(&broker, job(0)).await.unwrap();
    let mut jobs = consume(&broker, 1).await;
    next(&mut jobs).await.ack().await.unwrap();
    let text = log.text();
    assert!(
        text.contains("x-max-length") && text.contains("jobs"),
        "{text}"
    );
    broker.close().await.unwrap();
}
