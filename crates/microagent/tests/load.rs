//! Declarations at run time, from files and over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use microagent::{
    ErrorKind,
    declarations::{load_queues, load_signals, load_stuff},
};

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
async fn a_file_may_begin_with_a_byte_order_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signals.json");
    let source = format!("file://{}", path.display());
    std::fs::write(&path, format!("\u{feff}{DECLARED}")).unwrap();
    let declared = load_stuff(&source).await.unwrap();
    assert_eq!(
        declared,
        microagent::declarations::Declarations::parse(DECLARED).unwrap()
    );

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

/// A server that gives these answers, one for each connection, and the requests that it got.
#[cfg(feature = "http")]
struct Web {
    address: std::net::SocketAddr,
    requests: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

#[cfg(feature = "http")]
impl Web {
    fn answering(answers: &[(&str, &[u8])]) -> Self {
        let answers: Vec<(String, Vec<u8>)> = answers
            .iter()
            .map(|(head, body)| ((*head).to_owned(), body.to_vec()))
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let heard = requests.clone();
        thread::spawn(move || {
            for (head, body) in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let read = connection.read(&mut request).unwrap();
                heard
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

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

#[cfg(feature = "http")]
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
    assert_eq!(web.requests().len(), 1, "that will not pass");
}

#[cfg(feature = "http")]
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
        let began = std::time::Instant::now();
        let error = load_stuff(&web.url("/signals.json"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected `http://` or `https://`"),
            "{error}"
        );
        assert!(
            began.elapsed() < std::time::Duration::from_secs(5),
            "it says so at once"
        );
    }
    let round = ("302 Found\r\nlocation: /signals.json", &b""[..]);
    let error = load_stuff(&Web::answering(&[round; 6]).url("/signals.json"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[cfg(feature = "http")]
#[tokio::test]
async fn compressed_declarations_are_read_as_others_are() {
    use std::process::{Command, Stdio};

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

/// Keeps all that is logged at any level, by `tracing` and by libraries through `log`.
#[cfg(feature = "http")]
#[derive(Clone, Default)]
struct Everything(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(feature = "http")]
impl Write for Everything {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The only test of this program that sets a subscriber for all threads, which is where the client runs.
#[cfg(feature = "http")]
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

#[cfg(feature = "http")]
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

/// In processes of their own, for the certificates that are trusted are read from the environment.
#[cfg(feature = "http")]
#[tokio::test]
async fn https_trusts_the_certificates_of_ssl_cert_file() {
    const URL: &str = "MICROAGENT_TEST_HTTPS_URL";
    const TEST: &str = "https_trusts_the_certificates_of_ssl_cert_file";
    if let Ok(url) = std::env::var(URL) {
        assert_eq!(load_signals(&url).await.unwrap().len(), 4);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("signals.json"), DECLARED).unwrap();
    let (_server, url) = https_server(folder.path());
    let trusting = |certificate: &str| {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", TEST]).env(URL, &url);
        test.env("SSL_CERT_FILE", folder.path().join(certificate))
            .env_remove("SSL_CERT_DIR");
        let output = test.output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (success, output) = trusting("certificate.pem");
    assert!(success, "{output}");
    let (success, output) = trusting("nothing.pem");
    assert!(
        !success && output.contains("cannot read certificates from `SSL_CERT_FILE`"),
        "{output}"
    );
    assert!(load_stuff(&url).await.is_err(), "nobody else trusts it");
}

/// Ends its process.
#[cfg(feature = "http")]
struct Process(std::process::Child);

#[cfg(feature = "http")]
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of the files of a folder, with a certificate for `localhost` that is signed by itself.
#[cfg(feature = "http")]
fn https_server(folder: &std::path::Path) -> (Process, String) {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        command.args(line.split_whitespace()).current_dir(folder);
        command
    };
    let made = openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
         -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out certificate.pem",
    );
    let made = { made }.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut server =
        openssl("s_server -WWW -accept 127.0.0.1:0 -cert certificate.pem -key key.pem");
    let mut server = server
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap());
    let accepts = lines
        .find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned))
        .unwrap();
    // It writes on, and must not wait for a reader.
    thread::spawn(move || lines.count());
    let (_, port) = accepts.rsplit_once(':').unwrap();
    (
        Process(server),
        format!("https://localhost:{port}/signals.json"),
    )
}

#[cfg(not(feature = "http"))]
#[tokio::test]
async fn without_the_feature_http_is_refused_by_its_name() {
    let error = load_stuff(&serve("200 OK", DECLARED)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("the feature `http`"), "{error}");
    assert!(load_signals("http://x").await.is_err() && load_queues("http://x").await.is_err());
}
