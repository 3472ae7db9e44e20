//! Secrets in the URL of declarations, which neither the log nor an error may contain.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use microagent::declarations::load_stuff;

use super::{DECLARED, http::Web};

/// The log of all levels, by `tracing` and by libraries through `log`.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<Vec<u8>>>);

impl Write for Everything {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The only test of this program that sets a subscriber for all threads, because the client runs on another thread.
#[tokio::test]
async fn credentials_of_a_source_are_in_no_log() {
    let everything = Everything::default();
    let writer = everything.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let answers = [
        (
            "302 Found\r\nlocation: /signals.json?token=s3cret",
            &b""[..],
        ),
        ("200 OK", DECLARED.as_bytes()),
    ];
    let web = Web::answering(&answers);
    let url = web
        .url("/signals.json?token=s3cret")
        .replace("://", "://who:s3cret@");
    assert!(load_stuff(&url).await.is_ok());
    assert!(
        web.requests()[0]
            .to_lowercase()
            .contains("authorization: basic d2hvonmzy3jlda=="),
        "{:?}",
        web.requests()
    );
    tracing::info!("the log works");

    let log = String::from_utf8(everything.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log works"), "{log}");
    for secret in ["s3cret", "d2hvOnMzY3JldA"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_password_that_is_not_encoded_is_in_no_error() {
    for place in [
        "who:a/s3cret@",
        "who:a?s3cret@",
        "who:a#s3cret@",
        "s3cret/@",
        "who:1/s3cret@",
    ] {
        let url = format!("http://{place}127.0.0.1:1/signals.json#s3cret");
        let error = load_stuff(&url).await.unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
