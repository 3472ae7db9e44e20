//! Declarations at run time, from files and over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use microagent::{ErrorKind, load_queues, load_signals, load_stuff};

const DECLARED: &str = include_str!("declared.json");

/// Answers one request with this.
fn serve(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = connection.read(&mut request).unwrap();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body.as_bytes()).unwrap();
    });
    format!("http://{address}/signals.json")
}

#[tokio::test]
async fn files_are_read_and_their_faults_are_named() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let declared = load_stuff(&format!("file://{folder}/tests/declared.json"))
        .await
        .unwrap();
    assert_eq!(declared.default_prefix.as_deref(), Some("SHOP"));

    let error = load_stuff(&format!("file://{folder}/tests/nothing.json"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("nothing.json"), "{error}");

    let error = load_stuff(&format!("file://{folder}/Cargo.toml"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Declaration);
    assert!(error.to_string().contains("Cargo.toml"), "{error}");

    let error = load_stuff("signals.json").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`file://PATH`, `http://…` and `https://…` are allowed"),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_of_a_source_are_in_no_error() {
    let url = "http://who:s3cret@127.0.0.1:1/a@b/signals.json?key=s3cret";
    for source in [url.to_owned(), url.replace("http", "ftp")] {
        let error = load_stuff(&source).await.unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(
            error.contains("://127.0.0.1:1/a@b/signals.json?…"),
            "{error}"
        );
    }
}

#[cfg(feature = "http")]
#[tokio::test]
async fn declarations_come_over_http() {
    assert_eq!(
        load_signals(&serve("200 OK", DECLARED))
            .await
            .unwrap()
            .len(),
        4
    );
    assert_eq!(
        load_queues(&serve("200 OK", DECLARED)).await.unwrap()[1].exchange(),
        Some("events")
    );

    let error = load_stuff(&serve("404 Not Found", "no")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("/signals.json") && error.to_string().contains("404"),
        "{error}"
    );

    let error = load_stuff(&serve("200 OK", "[1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Declaration);
}

#[cfg(not(feature = "http"))]
#[tokio::test]
async fn without_the_feature_http_is_refused_by_its_name() {
    let error = load_stuff(&serve("200 OK", DECLARED)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("the feature `http`"), "{error}");
    assert!(load_signals("http://x").await.is_err() && load_queues("http://x").await.is_err());
}
