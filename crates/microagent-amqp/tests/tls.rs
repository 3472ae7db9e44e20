//! `amqps://` on a real RabbitMQ with a certificate of the test's own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, path::Path, process::Stdio, time::Duration};

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, ErrorKind, Queue, QueueBroker, Result, Route, SendOptions};
use microagent_testing::RabbitMqServer;
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
    let ours = Authority::new(folder.path(), "ours");
    let other = Authority::new(folder.path(), "other");
    ours.sign(folder.path(), "localhost");
    let (server, port) = start(folder.path()).await;
    let dsn = format!("amqps://guest:guest@localhost:{port}/");
    again(&dsn, &ours.certificate, None).await;
    // A certificate counts for its names only.
    let by_number = dsn.replace("localhost", "127.0.0.1");
    again(&by_number, &ours.certificate, Some("not valid for name")).await;
    again(&dsn, &other.certificate, Some("UnknownIssuer")).await;
    // The port without TLS does not answer a handshake.
    let plain = format!("amqps://guest:guest@{}/", server.address());
    let plain = plain.replace("127.0.0.1", "localhost");
    again(&plain, &ours.certificate, Some("")).await;
    let nothing = folder.path().join("nothing.pem");
    fs::write(&nothing, "").unwrap();
    let nothing = nothing.to_str().unwrap();
    again(&dsn, nothing, Some("no certificate of an authority")).await;
}

async fn again(dsn: &str, authority: &str, refused: Option<&str>) {
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
async fn start(folder: &Path) -> (RabbitMqServer, u16) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let path = |name: &str| folder.join(name).display().to_string();
    let settings = format!(
        r#"{{rabbit, [{{ssl_listeners, [{{"127.0.0.1", {port}}}]}}, {{ssl_options, [
            {{cacertfile, "{}"}}, {{certfile, "{}"}}, {{keyfile, "{}"}}, {{verify, verify_none}}]}}]}}"#,
        path("ours.pem"),
        path("localhost.pem"),
        path("localhost.key"),
    );
    let server = RabbitMqServer::start_with(&settings).await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    (server, port)
}

/// An authority that signs certificates.
struct Authority {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let path = |ending: &str| {
            folder
                .join(format!("{name}.{ending}"))
                .display()
                .to_string()
        };
        let (certificate, key) = (path("pem"), path("key"));
        let subject = format!("/CN={name}");
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &subject,
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        Self { certificate, key }
    }

    /// Makes a certificate for a host.
    fn sign(&self, folder: &Path, host: &str) {
        let path = |ending: &str| {
            folder
                .join(format!("{host}.{ending}"))
                .display()
                .to_string()
        };
        let subject = format!("/CN={host}");
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            &subject,
            "-keyout",
            &path("key"),
            "-out",
            &path("request"),
        ]);
        fs::write(path("names"), format!("subjectAltName=DNS:{host}\n")).unwrap();
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &path("request"),
            "-CA",
            &self.certificate,
            "-CAkey",
            &self.key,
            "-CAcreateserial",
            "-extfile",
            &path("names"),
            "-out",
            &path("pem"),
        ]);
    }
}

fn openssl(arguments: &[&str]) {
    let made = std::process::Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}
