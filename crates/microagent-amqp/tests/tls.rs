//! `amqps://` on a real RabbitMQ with a certificate of the test's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::Path, process::Stdio, time::Duration};

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, ErrorKind, Queue, QueueBroker, Result, Route, SendOptions};
use microagent_testing::{RabbitMqServer, TestAuthority};
use tokio::{process::Command, time::timeout};

use support::connect;

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn tls_with_an_authority_that_is_trusted_and_with_one_that_is_not,
    }
}

const TEST: &str = "needs::tls_with_an_authority_that_is_trusted_and_with_one_that_is_not";

/// The DSN for the process that this test starts again.
const DSN: &str = "MICROAGENT_TEST_TLS_DSN";

/// The error that this process must meet, if it must meet one.
const REFUSED: &str = "MICROAGENT_TEST_TLS_REFUSED";

const JOBS: Queue = Queue::new("jobs");
const PATIENCE: Duration = Duration::from_secs(60);

/// More than one record of TLS and more than one frame of AMQP.
const LARGE: usize = 1_000_000;

/// Runs itself again for each authority: the certificates that a process trusts are read from its environment.
async fn tls_with_an_authority_that_is_trusted_and_with_one_that_is_not() {
    if let Ok(dsn) = std::env::var(DSN) {
        match std::env::var(REFUSED) {
            Ok(expected) => refuses(&dsn, &expected).await,
            Err(_) => carries_messages(&dsn).await,
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = |name| TestAuthority::create(folder.path(), name).unwrap();
    let (ours, other) = (authority("ours"), authority("other"));
    let (server, port) = start(&ours).await;
    let dsn = format!("amqps://guest:guest@localhost:{port}/");
    again(&dsn, ours.certificate(), None).await;
    // A certificate counts for its names only.
    let by_number = dsn.replace("localhost", "127.0.0.1");
    again(&by_number, ours.certificate(), Some("not valid for name")).await;
    again(&dsn, other.certificate(), Some("UnknownIssuer")).await;
    // The port without TLS does not answer a handshake.
    let plain = format!("amqps://guest:guest@{}/", server.address());
    let plain = plain.replace("127.0.0.1", "localhost");
    again(&plain, ours.certificate(), Some("")).await;
    let nothing = folder.path().join("nothing.pem");
    fs::write(&nothing, "").unwrap();
    again(&dsn, &nothing, Some("no certificate of an authority")).await;
}

async fn again(dsn: &str, authority: &Path, refused: Option<&str>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", TEST, "--nocapture"])
        .env(DSN, dsn)
        .env("SSL_CERT_FILE", authority)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null());
    if let Some(refused) = refused {
        command.env(REFUSED, refused);
    }
    let output = command.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{dsn} {refused:?}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn carries_messages(dsn: &str) {
    let broker = connect(dsn).await.unwrap();
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(2))
        .await
        .unwrap();
    for size in [1, LARGE] {
        let body = vec![b'x'; size];
        send(&broker, body.clone()).await.unwrap();
        let job = timeout(PATIENCE, jobs.next()).await.unwrap().unwrap();
        assert!(*job.message().payload() == body, "{size} bytes");
        job.ack().await.unwrap();
    }
    broker.close().await.unwrap();
}

async fn send(broker: &impl QueueBroker, body: Vec<u8>) -> Result<()> {
    let options = SendOptions::default();
    broker.send(&Route::from(JOBS), body.into(), options).await
}

/// As with a server that is away: the broker keeps trying, and each operation says why it failed.
async fn refuses(dsn: &str, expected: &str) {
    let broker = match connect(dsn).await {
        Ok(broker) => broker,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
            return;
        }
    };
    let error = send(&broker, b"1".to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("amqps://") && text.contains(expected),
        "{text}"
    );
    assert!(text.contains("cannot connect to rabbitmq: TLS: "), "{text}");
}

/// A server with TLS on a second port.
async fn start(authority: &TestAuthority) -> (RabbitMqServer, u16) {
    let signed = authority.sign("localhost").unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let settings = format!(
        r#"{{rabbit, [{{ssl_listeners, [{{"127.0.0.1", {port}}}]}}, {{ssl_options, [
            {{cacertfile, "{}"}}, {{certfile, "{}"}}, {{keyfile, "{}"}}, {{verify, verify_none}}]}}]}}"#,
        authority.certificate().display(),
        signed.certificate.display(),
        signed.key.display(),
    );
    let server = RabbitMqServer::start_with(&settings).await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    (server, port)
}
