//! Each kind of DSN leads to a real server of its kind: a socket, a database, a user, sentinels, TLS.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use microagent_core::{
    BusEvent, ConsumeOptions, ErrorKind, Lease, Leases, Queue, QueueBroker, Route, SendOptions,
    SignalBus,
};
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_testing::RedisServer;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

microagent_testing::needs! {
    redis {
        async fn a_unix_socket_and_a_database,
        async fn a_user_who_may_only_what_is_needed,
        async fn sentinels_lead_to_the_primary_and_to_the_next_one,
        async fn tls_with_a_certificate_that_is_trusted_and_with_one_that_is_not,
    }
}

const JOBS: Queue = Queue::new("jobs");
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a server with these arguments.
async fn server(arguments: &[&str]) -> RedisServer {
    let server = RedisServer::start_with(arguments).await;
    server.unwrap_or_else(|error| panic!("cannot start a server: {error}"))
}

/// Signals, messages, dead letters and leases, all over this DSN.
async fn everything_works(dsn: &str) {
    let options = RedisOptions::parse(dsn).unwrap();
    let bus = RedisBus::connect(&options).await.expect(dsn);
    let mut events = bus.subscribe("PUBSUB:tick:*").await.expect(dsn);
    let count = bus.publish("PUBSUB:tick:a", "{}".into()).await.expect(dsn);
    assert!(!count.is_none());
    let event = timeout(PATIENCE, events.next()).await.unwrap();
    assert!(matches!(event, Some(BusEvent::Message(_))), "{event:?}");

    let broker = RedisBroker::connect(&options).await.expect(dsn);
    let to = Route::from(JOBS);
    for body in ["1", "2"] {
        broker
            .send(&to, body.into(), SendOptions::default())
            .await
            .expect(dsn);
    }
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(2))
        .await
        .unwrap();
    let mut next = async || timeout(PATIENCE, jobs.next()).await.expect(dsn).unwrap();
    next().await.ack().await.expect(dsn);
    next().await.dead_letter("no").await.expect(dsn);
    assert_eq!(broker.length(&Queue::new("jobs.dead")).await.unwrap(), 1);
    let lease = broker.lease("nightly", "me", PATIENCE).await.expect(dsn);
    assert_eq!(lease, Lease::Granted);
    bus.close().await.unwrap();
    broker.close().await.unwrap();
}

async fn a_unix_socket_and_a_database() {
    let server = server(&[]).await;
    let dsn = format!("redis+unix://{}?db=5", server.socket().display());
    everything_works(&dsn).await;
    let keyspace = server.command(&["INFO", "keyspace"]).await.unwrap();
    assert!(
        keyspace.contains("db5:") && !keyspace.contains("db0:"),
        "{keyspace}"
    );
}

async fn a_user_who_may_only_what_is_needed() {
    let server = server(&[]).await;
    let rules = [
        "ACL",
        "SETUSER",
        "shop",
        "on",
        ">s3cret/?",
        "allchannels",
        "~jobs*",
        "~{jobs*",
        "~microagent:lease:*",
        "+@all",
        "-@dangerous",
    ];
    server.command(&rules).await.unwrap();
    everything_works(&format!("redis://shop:s3cret%2F%3F@{}/7", server.address())).await;
}

/// A sentinel of these servers; it ends when it is dropped.
async fn sentinel(folder: &TempDir, primary: &RedisServer) -> (Child, String) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let watched = primary.address().replace(':', " ");
    let settings = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor main {watched} 1\n\
         sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n",
        address.port(),
        folder.path().display(),
    );
    let file = folder.path().join("sentinel.conf");
    fs::write(&file, settings).unwrap();
    let child = Command::new("redis-server")
        .arg(file)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    (child.unwrap(), address.to_string())
}

/// The primary dies for good: sentinels name another, and the same drivers go on there.
async fn sentinels_lead_to_the_primary_and_to_the_next_one() {
    let primary = server(&[]).await;
    let port = primary.address().split(':').next_back().unwrap().to_owned();
    let replica = server(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
    let folder = tempfile::tempdir().unwrap();
    let (_sentinel, address) = sentinel(&folder, &primary).await;
    let dsn = format!("redis+sentinel://{address}/main/7");
    until("the replica to be known", async || {
        primary
            .command(&["INFO", "replication"])
            .await
            .unwrap()
            .contains("state=online")
            && replica
                .command(&["INFO", "replication"])
                .await
                .unwrap()
                .contains("master_link_status:up")
            && fs::read_to_string(folder.path().join("sentinel.conf"))
                .unwrap()
                .contains("known-replica")
    })
    .await;
    everything_works(&dsn).await;

    let options = RedisOptions::parse(&dsn).unwrap();
    let broker = RedisBroker::connect(&options).await.unwrap();
    let bus = RedisBus::connect(&options).await.unwrap();
    let mut events = bus.subscribe("PUBSUB:tick:*").await.unwrap();
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(2))
        .await
        .unwrap();
    primary.kill();
    let to = Route::from(JOBS);
    until("the next primary", async || {
        let sent = broker.send(&to, "3".into(), SendOptions::default());
        sent.await.is_ok()
    })
    .await;
    let job = timeout(PATIENCE, jobs.next()).await.unwrap().unwrap();
    assert_eq!(job.message().payload(), "3");
    job.ack().await.unwrap();
    until("signals", async || {
        let count = bus.publish("PUBSUB:tick:a", "{}".into()).await;
        count.is_ok_and(|count| !count.is_none())
    })
    .await;
    until("the signal", async || {
        let event = timeout(PATIENCE, events.next()).await.unwrap();
        matches!(event, Some(BusEvent::Message(_)))
    })
    .await;
}

/// A certificate for `localhost`, signed by itself.
fn certificate(folder: &Path) -> (String, String) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    (certificate, key)
}

/// TLS, in a process of its own, for the certificates that it trusts are read from its environment.
async fn tls_with_a_certificate_that_is_trusted_and_with_one_that_is_not() {
    const DSN: &str = "MICROAGENT_TEST_TLS_DSN";
    const TEST: &str = "needs::tls_with_a_certificate_that_is_trusted_and_with_one_that_is_not";
    if let Ok(dsn) = std::env::var(DSN) {
        return everything_works(&dsn).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let arguments = [
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        &certificate,
    ];
    let _server = server(&arguments).await;
    let dsn = format!("rediss://localhost:{port}/7");
    let trusting = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST])
        .env(DSN, &dsn)
        .env("SSL_CERT_FILE", &certificate)
        .output();
    let trusting = trusting.await.unwrap();
    assert!(
        trusting.status.success(),
        "{}",
        String::from_utf8_lossy(&trusting.stdout)
    );

    let distrusted = RedisBroker::connect(&RedisOptions::parse(&dsn).unwrap())
        .await
        .unwrap();
    let sent = distrusted
        .send(&Route::from(JOBS), "1".into(), SendOptions::default())
        .await;
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

/// Asks until it is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
