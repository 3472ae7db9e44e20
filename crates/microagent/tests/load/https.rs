//! Declarations over HTTPS, from a server with its own certificate.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use microagent::declarations::{load_signals, load_stuff};

use super::DECLARED;

/// Loads in processes of their own, because the trusted certificates are read from the environment.
#[tokio::test]
async fn https_trusts_the_certificates_of_ssl_cert_file() {
    const URL: &str = "MICROAGENT_TEST_HTTPS_URL";
    const TEST: &str = "https::https_trusts_the_certificates_of_ssl_cert_file";
    if let Ok(url) = env::var(URL) {
        assert_eq!(load_signals(&url).await.unwrap().len(), 4);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("signals.json"), DECLARED).unwrap();
    let (_server, url) = https_server(folder.path());
    let trusting = |certificate: &str| {
        let mut test = Command::new(env::current_exe().unwrap());
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
    assert!(
        load_stuff(&url).await.is_err(),
        "other processes do not trust it"
    );
}

/// A process that is killed when the value is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server of the files in a folder, with a self-signed certificate for `localhost`, and returns its URL.
fn https_server(folder: &Path) -> (Process, String) {
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
    // The server continues to write, and must not wait for a reader.
    thread::spawn(move || lines.count());
    let (_, port) = accepts.rsplit_once(':').unwrap();
    (
        Process(server),
        format!("https://localhost:{port}/signals.json"),
    )
}
