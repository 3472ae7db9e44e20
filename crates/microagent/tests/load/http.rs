//! Declarations over HTTP: failures, redirects and compression.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use microagent::{
    ErrorKind,
    declarations::{load_queues, load_signals, load_stuff},
};

use super::{DECLARED, serve};

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

/// A server that sends these answers, one for each connection, and records the requests.
pub(crate) struct Web {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) fn answering(answers: &[(&str, &[u8])]) -> Self {
        let answers: Vec<(String, Vec<u8>)> = answers
            .iter()
            .map(|(head, body)| ((*head).to_owned(), body.to_vec()))
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let received = requests.clone();
        thread::spawn(move || {
            for (head, body) in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let read = connection.read(&mut request).unwrap();
                received
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request[..read]).into_owned());
                let length = body.len();
                let head = head.replace("HOST", &address.to_string());
                let head = format!(
                    "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                connection.write_all(head.as_bytes()).unwrap();
                connection.write_all(&body).unwrap();
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again_a_bounded_number_of_times() {
    let (busy, good) = (("503 Busy", &b""[..]), ("200 OK", DECLARED.as_bytes()));
    let web = Web::answering(&[busy, busy, good]);
    assert!(load_stuff(&web.url("/signals.json")).await.is_ok());
    assert_eq!(web.requests().len(), 3);

    let web = Web::answering(&[busy, busy, busy, good]);
    let error = load_stuff(&web.url("/signals.json")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .ends_with("the server answered with status 503"),
        "{error}"
    );
    assert_eq!(web.requests().len(), 3);

    let web = Web::answering(&[("404 Not Found", b""), good]);
    assert!(load_stuff(&web.url("/signals.json")).await.is_err());
    assert_eq!(web.requests().len(), 1, "another attempt cannot succeed");
}

#[tokio::test]
async fn redirects_lead_to_the_web_only() {
    let web = Web::answering(&[
        ("302 Found\r\nlocation: /new/signals.json", b""),
        ("308 Moved\r\nlocation: http://HOST/newest.json", b""),
        ("200 OK", DECLARED.as_bytes()),
    ]);
    assert!(load_stuff(&web.url("/signals.json")).await.is_ok());
    let paths: Vec<_> = web
        .requests()
        .iter()
        .map(|request| request.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(
        paths,
        ["/signals.json", "/new/signals.json", "/newest.json"]
    );

    for location in [
        "file:///etc/passwd",
        "file:/etc/passwd",
        "ftp://127.0.0.1/x",
    ] {
        let head = format!("302 Found\r\nlocation: {location}");
        let web = Web::answering(&[(&head, b"")]);
        let began = Instant::now();
        let error = load_stuff(&web.url("/signals.json"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected `http://` or `https://`"),
            "{error}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the error comes at once"
        );
    }
    let round = ("302 Found\r\nlocation: /signals.json", &b""[..]);
    let error = load_stuff(&Web::answering(&[round; 6]).url("/signals.json"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn compressed_declarations_are_read_as_others_are() {
    let mut gzip = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("\u{feff}{DECLARED}");
    gzip.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let body = gzip.wait_with_output().unwrap().stdout;
    let web = Web::answering(&[("200 OK\r\ncontent-encoding: gzip", &body)]);
    assert_eq!(
        load_signals(&web.url("/signals.json")).await.unwrap().len(),
        4
    );
}
