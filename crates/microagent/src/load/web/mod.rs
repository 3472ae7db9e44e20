//! Loading a document over HTTP, whatever its content.
//!
//! The log of the client library is dropped: it would contain user names, passwords and tokens of the URL.

mod redirect;

use std::{env, fmt::Display, sync::Arc, time::Duration};

use microagent_core::{Error, ErrorKind, Result, driver::Backoff};
use tokio::time::{Instant, sleep};
use tracing::subscriber::{NoSubscriber, with_default};
use ureq::{
    Agent,
    http::{Response, StatusCode, header::LOCATION},
    tls::{Certificate, RootCerts, TlsConfig},
};

/// The time limit of all attempts together.
const LONGEST: Duration = Duration::from_secs(30);

/// The number of attempts if the server fails or cannot be reached.
const ATTEMPTS: u32 = 3;

/// The longest pauses before the second attempt and before the third.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The number of redirects that are followed.
const REDIRECTS: usize = 5;

/// The largest document, decompressed.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Gets the document; `shown` is the URL for errors.
///
/// # Errors
/// [`ErrorKind::Unavailable`], with the reason of the last attempt; [`ErrorKind::Configuration`] for a URL or certificates that cannot
/// be used.
pub(super) async fn fetch(url: &str, shown: &str) -> Result<Vec<u8>> {
    let deadline = Instant::now() + LONGEST;
    let mut backoff = Backoff::new(PAUSES[0], PAUSES[1]);
    let mut attempt = 1;
    loop {
        let owned = url.to_owned();
        let until = deadline.into_std();
        let fetched = tokio::task::spawn_blocking(move || get(&owned, until)).await;
        let failure = match fetched {
            Ok(Ok(bytes)) => return Ok(bytes),
            Ok(Err(failure)) => failure,
            Err(error) => Failure::lasting(&error),
        };
        let pause = backoff.next_pause();
        if !failure.may_pass || attempt == ATTEMPTS || Instant::now() + pause >= deadline {
            return Err(Error::new(
                failure.kind,
                format!("{shown}: {}", failure.text),
            ));
        }
        attempt += 1;
        sleep(pause).await;
    }
}

/// The reason for which an attempt returned no document.
#[derive(Debug)]
struct Failure {
    kind: ErrorKind,
    /// The text, which contains no part of the URL.
    text: String,
    /// Another attempt may succeed.
    may_pass: bool,
}

impl Failure {
    fn passing(why: &dyn Display) -> Self {
        Self {
            may_pass: true,
            ..Self::lasting(why)
        }
    }

    fn lasting(why: &dyn Display) -> Self {
        Self {
            kind: ErrorKind::Unavailable,
            text: why.to_string(),
            may_pass: false,
        }
    }

    fn configuration(why: &dyn Display) -> Self {
        Self {
            kind: ErrorKind::Configuration,
            ..Self::lasting(why)
        }
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            // Their texts contain the URL.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Self::configuration(&INVALID),
            ureq::Error::Io(error) => Self::passing(&error),
            ureq::Error::Timeout(_) => Self::passing(&"the server did not answer in time"),
            ureq::Error::HostNotFound => Self::passing(&"the host is not known"),
            ureq::Error::ConnectionFailed => Self::passing(&"the connection failed"),
            other => Self::lasting(&other),
        }
    }
}

const INVALID: &str = "invalid URL: expected `http://[USER:PASSWORD@]HOST[:PORT]/PATH`; in a user name and a password write \
                       `%2F`, `%3F`, `%23` and `%40` for `/`, `?`, `#` and `@`";

/// Makes one attempt, on a thread that may block.
fn get(url: &str, deadline: std::time::Instant) -> Result<Vec<u8>, Failure> {
    with_default(NoSubscriber::default(), || follow(url, deadline))
}

fn follow(url: &str, deadline: std::time::Instant) -> Result<Vec<u8>, Failure> {
    let mut url = url.to_owned();
    for _ in 0..=REDIRECTS {
        if !redirect::is_usable(&url) {
            return Err(Failure::configuration(&INVALID));
        }
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let mut response = client(&url, left)?.get(&url).call()?;
        let status = response.status();
        if let Some(location) = location_of(&response) {
            url = redirect::target(&url, &location).map_err(|why| Failure::lasting(&why))?;
            continue;
        }
        if !status.is_success() {
            let text = format!("the server answered with status {}", status.as_u16());
            return Err(if is_passing(status) {
                Failure::passing(&text)
            } else {
                Failure::lasting(&text)
            });
        }
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        return body.read_to_vec().map_err(Failure::from);
    }
    Err(Failure::lasting(&format!(
        "too many redirects: at most {REDIRECTS} are followed"
    )))
}

fn location_of<T>(response: &Response<T>) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let status = response.status();
    let leads_on = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    leads_on.then(|| location.to_owned())
}

/// Returns true if the server is busy or broken, so that another attempt may succeed.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// Creates a client that does not follow redirects: this module does, because it checks their schemes.
fn client(url: &str, left: Duration) -> Result<Agent, Failure> {
    let mut config = Agent::config_builder()
        .timeout_global(Some(left))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false);
    if redirect::scheme_of(url) == Some("https") {
        let tls = TlsConfig::builder().root_certs(certificates()?).build();
        config = config.tls_config(tls);
    }
    Ok(config.build().into())
}

/// Returns the certificates of the system or of `SSL_CERT_FILE` and `SSL_CERT_DIR`, as for `rediss://`. If there are none,
/// those that are compiled in.
fn certificates() -> Result<RootCerts, Failure> {
    let found = rustls_native_certs::load_native_certs();
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
    let named: Vec<_> = named
        .into_iter()
        .filter(|name| env::var_os(name).is_some())
        .collect();
    if let (true, [name, ..]) = (found.certs.is_empty(), named.as_slice()) {
        let why = found.errors.first().map(|error| format!(": {error}"));
        let text = format!(
            "cannot read certificates from `{name}`{}",
            why.unwrap_or_default()
        );
        return Err(Failure::configuration(&text));
    }
    if found.certs.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    let certificates = found
        .certs
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    Ok(RootCerts::Specific(Arc::new(certificates.collect())))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Starts a server that answers each request late, with a redirect to itself.
    fn slow_redirects(pause: Duration) -> String {
        const ANSWER: &[u8] =
            b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for mut connection in listener.incoming().map_while(std::result::Result::ok) {
                let _ = connection.read(&mut [0; 1024]);
                thread::sleep(pause);
                let _ = connection.write_all(ANSWER);
            }
        });
        url
    }

    #[test]
    fn all_redirects_of_an_attempt_share_its_time() {
        let url = slow_redirects(Duration::from_millis(100));
        let deadline = std::time::Instant::now() + Duration::from_millis(250);
        let failure = get(&url, deadline).unwrap_err();
        assert_eq!(failure.text, "the server did not answer in time");
    }
}
