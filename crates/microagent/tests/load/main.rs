//! Declarations at run time, from files and over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod https;
#[cfg(feature = "http")]
mod secrets;

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use microagent::{
    ErrorKind,
    declarations::{Declarations, load_stuff},
};

const DECLARED: &str = include_str!("../declared.json");

/// Starts a server that answers one request, and returns its URL.
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
            .contains("expected `file://PATH`, `http://…` or `https://…`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_may_begin_with_a_byte_order_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signals.json");
    let source = format!("file://{}", path.display());
    std::fs::write(&path, format!("\u{feff}{DECLARED}")).unwrap();
    let declared = load_stuff(&source).await.unwrap();
    assert_eq!(declared, Declarations::parse(DECLARED).unwrap());

    let utf16: Vec<u8> = format!("\u{feff}{DECLARED}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(&path, utf16).unwrap();
    let error = load_stuff(&source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Declaration);
    assert_eq!(
        error.to_string(),
        format!("{source}: invalid encoding `UTF-16`: expected UTF-8")
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

#[cfg(not(feature = "http"))]
#[tokio::test]
async fn without_the_feature_http_is_refused_by_its_name() {
    let error = load_stuff(&serve("200 OK", DECLARED)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("the feature `http`"), "{error}");
    assert!(
        microagent::declarations::load_signals("http://x")
            .await
            .is_err()
            && microagent::declarations::load_queues("http://x")
                .await
                .is_err()
    );
}
