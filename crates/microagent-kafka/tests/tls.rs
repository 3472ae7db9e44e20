//! `kafkas://` and logins on a real Kafka with a certificate of the test's own.

#![cfg(feature = "ssl")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, net::TcpListener, path::Path, process::Stdio};

use microagent_core::{Error, ErrorKind, Queue, QueueBroker, Result, Route, SendOptions};
use microagent_kafka::KafkaBroker;
use microagent_testing::{KafkaServer, TestAuthority};
use tokio::{process::Command, time::timeout};

use support::{
    connect,
    steps::{LIMIT, body, consume, next},
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn tls_and_logins_are_taken_or_refused_with_their_reason,
    }
}

const TEST: &str = "needs::tls_and_logins_are_taken_or_refused_with_their_reason";

/// The DSN for the process that this test starts again.
const DSN: &str = "MICROAGENT_TEST_TLS_DSN";

const JOBS: Queue = Queue::new("jobs");

/// More than one record of TLS.
const LARGE: usize = 900_000;

async fn tls_and_logins_are_taken_or_refused_with_their_reason() {
    if let Ok(dsn) = std::env::var(DSN) {
        return carries_messages(&dsn).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = |name| TestAuthority::create(folder.path(), name).unwrap();
    let (ours, other) = (authority("ours"), authority("other"));
    let signed = ours.sign("localhost").unwrap();
    // Kafka reads the key and the certificate from one file.
    let both = [&signed.key, &signed.certificate].map(|file| fs::read(file).unwrap());
    let store = folder.path().join("localhost.both");
    fs::write(&store, both.concat()).unwrap();
    let kafka = start(&store).await;
    let trusting = format!("x.ssl.ca.location={}", ours.certificate().display());

    let wrong = "certificate verify failed";
    let other = format!("x.ssl.ca.location={}", other.certificate().display());
    let other = format!("kafkas://localhost:{}?{other}", kafka.tls);
    // A certificate counts for its names only.
    let by_number = format!("kafkas://127.0.0.1:{}?{trusting}", kafka.tls);
    // The port without TLS does not answer a handshake.
    let plain = kafka.server.address().replace("127.0.0.1", "localhost");
    let plain = format!("kafkas://{plain}?{trusting}");
    let trusted = format!("kafkas://localhost:{}", kafka.tls);
    tokio::join!(
        again(&trusted, ours.certificate()),
        refuses(&other, wrong),
        refuses(&by_number, wrong),
        refuses(&plain, "cannot reach"),
    );

    let place = format!("localhost:{}?{trusting}", kafka.logins);
    tokio::join!(
        takes_logins(&place, "PLAIN"),
        takes_logins(&place, "SCRAM-SHA-256"),
        takes_logins(&place, "SCRAM-SHA-512"),
    );
}

/// The right password is taken, and a wrong one is refused.
async fn takes_logins(place: &str, mechanism: &str) {
    let login = |password: &str| {
        format!("kafkas://shop:{password}@{place}&mechanism={mechanism}&group={mechanism}")
    };
    let broker = open(&login("s3cret"), "60").await;
    // Another group has handled them.
    assert_eq!(broker.length(&JOBS).await.unwrap(), 2);
    broker.close().await.unwrap();
    let error = refusal(&login("wr0ng"), "uthentication failed").await;
    assert_eq!(error.kind(), ErrorKind::Refused, "{mechanism}: {error}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");
}

/// Runs itself again: the certificates that a process trusts are read from its environment.
async fn again(dsn: &str, authority: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", TEST, "--nocapture"])
        .env(DSN, dsn)
        .env("SSL_CERT_FILE", authority)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{dsn}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Opens a broker whose requests wait as long as a busy machine needs, or only for seconds.
async fn open(dsn: &str, patience: &str) -> KafkaBroker {
    let mark = if dsn.contains('?') { '&' } else { '?' };
    connect(&format!("{dsn}{mark}timeout={patience}"))
        .await
        .unwrap()
}

async fn carries_messages(dsn: &str) {
    let broker = open(dsn, "60").await;
    let mut jobs = consume(&broker, &JOBS, 2).await;
    for size in [1, LARGE] {
        send(&broker, "x".repeat(size)).await.unwrap();
        let job = next(&mut jobs).await;
        assert!(body(&job) == "x".repeat(size), "{size} bytes");
        job.ack().await.unwrap();
    }
    broker.close().await.unwrap();
}

async fn send(broker: &KafkaBroker, body: String) -> Result<()> {
    let options = SendOptions::default();
    broker.send(&Route::from(JOBS), body.into(), options).await
}

/// As with a server that is away: the broker keeps trying, and an operation says why it failed.
async fn refuses(dsn: &str, expected: &str) {
    let error = refusal(dsn, expected).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    let address = dsn.split('?').next().unwrap();
    assert!(
        text.contains(&format!("cannot reach `{address}`")),
        "{text}"
    );
}

/// Returns the error of a send with this reason. On a busy machine the first ones may be without one.
async fn refusal(dsn: &str, reason: &str) -> Error {
    let broker = open(dsn, "2").await;
    let mut last = String::new();
    let refused = async {
        loop {
            let error = send(&broker, "1".to_owned()).await.unwrap_err();
            last = error.to_string();
            if last.contains(reason) {
                return error;
            }
        }
    };
    let refused = timeout(LIMIT, refused).await;
    broker.close().await.unwrap();
    refused.unwrap_or_else(|_| panic!("{dsn}: `{last}` does not contain `{reason}`"))
}

struct Kafka {
    server: KafkaServer,
    tls: u16,
    logins: u16,
}

/// Starts a server with TLS on a second port, and with TLS and logins on a third one.
async fn start(key: &Path) -> Kafka {
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [tls, logins] = [0, 1].map(|it: usize| sockets[it].local_addr().unwrap().port());
    drop(sockets);
    let module = "required user_shop=\"s3cret\";";
    let security = "org.apache.kafka.common.security";
    let lines = [
        format!("listeners=PLAINTEXT://127.0.0.1:{{port}},TLS://127.0.0.1:{tls},LOGIN://127.0.0.1:{logins},CONTROLLER://127.0.0.1:{{control}}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},TLS://localhost:{tls},LOGIN://localhost:{logins}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,TLS:SSL,LOGIN:SASL_SSL,CONTROLLER:PLAINTEXT".to_owned(),
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", key.display()),
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
        format!("listener.name.login.plain.sasl.jaas.config={security}.plain.PlainLoginModule {module}"),
        format!("listener.name.login.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;"),
        format!("listener.name.login.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let users = [256, 512].map(|bits| format!("SCRAM-SHA-{bits}=[name=shop,password=s3cret]"));
    let users = [users[0].as_str(), users[1].as_str()];
    let server = KafkaServer::start_with_users(&lines, &users).await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    Kafka {
        server,
        tls,
        logins,
    }
}
