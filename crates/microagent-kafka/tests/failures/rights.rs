//! Logins that are refused, and users without rights.

use std::{io, net::TcpListener};

use microagent_core::{ConsumeOptions, DeclareOptions, ErrorKind, QueueBroker, Result, Selection};
use microagent_kafka::{KafkaBroker, KafkaOptions};
use microagent_testing::KafkaServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OnceCell,
};

use crate::bench::{
    DEAD, JOBS, MINUTES, PATIENCE, connect, consume, error_of, job, next, send, until,
    until_length, within,
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn a_wrong_login_is_refused_at_once,
        multi_thread async fn a_missing_right_is_an_error_that_names_it_until_it_is_granted,
    }
}

/// The server of these tests, and the place where it asks for a login. It lets the user `shop` do nothing, and ends with the test program.
async fn server_with_logins() -> &'static (KafkaServer, String) {
    static SERVER: OnceCell<(KafkaServer, String)> = OnceCell::const_new();
    SERVER.get_or_init(start_server).await
}

async fn start_server() -> (KafkaServer, String) {
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

/// Logs in. Answers may take much longer than a test waits for them.
async fn log_in(place: &str, password: &str) -> KafkaBroker {
    connect(&format!("kafka://shop:{password}@{place}?timeout=3600"))
        .await
        .unwrap()
}

async fn consuming(broker: &KafkaBroker) -> Result<()> {
    broker
        .consume(&JOBS, ConsumeOptions::default())
        .await
        .map(drop)
}

/// A wrong password is an error that says so, without the password. It does not wait for the time of an answer, neither at first nor later.
async fn a_wrong_login_is_refused_at_once() {
    let (_, place) = server_with_logins().await;
    for first in ["send", "consume", "length", "ready"] {
        let stranger = log_in(place, "wr0ng").await;
        for attempt in [first, "send", "consume"] {
            let answer = within(PATIENCE, "a refusal", async {
                match attempt {
                    "send" => send(&stranger, job(0)).await,
                    "consume" => consuming(&stranger).await,
                    "length" => stranger.length(&JOBS).await.map(drop),
                    _ => stranger.ready().await,
                }
            });
            let error = error_of(answer.await);
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Refused, "{attempt}: {text}");
            assert!(text.to_lowercase().contains("authentication"), "{text}");
            assert!(text.contains(place), "{text}");
            assert!(!text.contains("wr0ng"), "{text}");
        }
        let state = stranger.connection().unwrap();
        assert!(!state.up);
        let last_error = state.last_error.unwrap().to_lowercase();
        assert!(last_error.contains("authentication"), "{last_error}");
        within(PATIENCE, "an end", stranger.close()).await.unwrap();
    }
    let error = error_of(KafkaOptions::parse(
        "kafka://localhost?x.security.protocol=sassl",
    ));
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

/// Tries until the error is the expected one: a right that was just granted counts a moment later.
async fn is_refused<T>(attempt: impl AsyncFn() -> Result<T>, expected: &str) {
    until(expected, MINUTES, async || {
        let error = error_of(within(PATIENCE, expected, attempt()).await);
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        error.to_string().contains(expected)
    })
    .await;
}

/// A user gets one right after the other: each operation names the right that is missing, and works without another login when it is
/// granted.
async fn a_missing_right_is_an_error_that_names_it_until_it_is_granted() {
    let (server, place) = server_with_logins().await;
    let open = connect(&server.dsn()).await.unwrap();
    let options = DeclareOptions::default();
    open.declare(&JOBS, &options).await.unwrap();
    send(&open, job(1)).await.unwrap();
    let shop = log_in(place, "s3cret").await;
    until_it_may_consume(server, &shop).await;
    let mut jobs = consume(&shop, 1).await;
    let held = next(&mut jobs).await;

    let no_job = "missing right `WRITE` on the topic of queue `jobs`";
    is_refused(async || send(&shop, job(2)).await, no_job).await;
    until_it_may_keep_dead_letters(server, &shop).await;
    // The client has given up the producer that was refused before.
    is_refused(async || send(&shop, job(2)).await, no_job).await;
    let settled = within(PATIENCE, "an answer", held.dead_letter("given up"));
    settled.await.unwrap();
    until_length(&open, &DEAD, 1).await;
    until_length(&shop, &JOBS, 0).await;
    grant(server, (TOPIC, "jobs"), WRITE).await;
    let sending = async || send(&shop, job(2)).await.is_ok();
    until("to send", MINUTES, sending).await;
    next(&mut jobs).await.ack().await.unwrap();
    shop.close().await.unwrap();
    open.close().await.unwrap();
}

async fn until_it_may_consume(server: &KafkaServer, shop: &KafkaBroker) {
    let (topic, group) = ((TOPIC, "jobs"), (GROUP, "microagent.jobs"));
    let options = DeclareOptions::default();
    let declaring = async || shop.declare(&JOBS, &options).await;
    let expected = "missing right `DESCRIBE` on the topic of queue `jobs`";
    is_refused(declaring, expected).await;
    is_refused(async || consuming(shop).await, expected).await;

    grant(server, topic, DESCRIBE).await;
    let expected = "missing right `DESCRIBE` on the group `microagent.jobs` of queue `jobs`";
    is_refused(async || consuming(shop).await, expected).await;
    is_refused(async || shop.length(&JOBS).await, expected).await;

    grant(server, group, DESCRIBE).await;
    let expected = "missing right `READ` on the group `microagent.jobs`";
    is_refused(async || consuming(shop).await, expected).await;
    is_refused(async || shop.purge(&JOBS, &Selection::All).await, expected).await;
    until_length(shop, &JOBS, 1).await;

    grant(server, group, READ).await;
    let expected = "missing right `READ` on the topic of queue `jobs`";
    is_refused(async || consuming(shop).await, expected).await;
    is_refused(async || shop.peek(&JOBS, 1).await, expected).await;

    grant(server, topic, READ).await;
    let consuming = async || consuming(shop).await.is_ok();
    until("to consume", MINUTES, consuming).await;
}

async fn until_it_may_keep_dead_letters(server: &KafkaServer, shop: &KafkaBroker) {
    let dead_letters = (TOPIC, "jobs.dead");
    let options = DeclareOptions::default();
    let declaring = async || shop.declare(&DEAD, &options).await;
    grant(server, dead_letters, DESCRIBE).await;
    let expected = "missing right `CREATE` on the topic of queue `jobs.dead`";
    is_refused(declaring, expected).await;
    grant(server, dead_letters, CREATE).await;
    until("the queue", MINUTES, async || declaring().await.is_ok()).await;
    grant(server, dead_letters, WRITE).await;
}

const TOPIC: u8 = 2;
const GROUP: u8 = 3;
const READ: u8 = 3;
const WRITE: u8 = 4;
const CREATE: u8 = 5;
const DESCRIBE: u8 = 8;

/// Grants the user `shop` a right on a topic or a group. The client library has no function for it.
async fn grant(server: &KafkaServer, (kind, name): (u8, &str), right: u8) {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap();
        [&length.to_be_bytes(), text.as_bytes()].concat()
    };
    // CreateAcls, version 1: a number of the request, no name of the client, one rule for this very name. It allows.
    let mut request = vec![0, 30, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 1, kind];
    request.extend(text(name));
    request.push(3);
    request.extend([text("User:shop"), text("*")].concat());
    request.extend([right, 3]);
    let answer = ask(&server.address(), &request).await.unwrap();
    // After the number of the request, a time and the number of results comes the code of the first one.
    assert_eq!(answer.get(12..14), Some([0, 0].as_slice()), "{answer:?}");
}

async fn ask(address: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_u32(u32::try_from(request.len()).unwrap())
        .await?;
    stream.write_all(request).await?;
    let mut answer = vec![0; stream.read_u32().await?.try_into().unwrap()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
