//! The HTTP client of the exporter. It blocks, and only the exporter's own thread calls it.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use microagent_core::driver::{Outage, lock};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tracing::{
    info,
    subscriber::{NoSubscriber, with_default},
    warn,
};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// The largest answer that is read.
const LONGEST_ANSWER: u64 = 1024 * 1024;

/// A client for one collector.
pub(crate) struct Client {
    agent: Agent,
    /// The collector, for the log.
    collector: String,
    outage: Mutex<Outage>,
}

impl Client {
    /// Creates a client whose requests take at most `timeout`. It trusts these certificates, or those of the system if there are none.
    pub(crate) fn new(
        collector: String,
        timeout: Duration,
        trusted: Vec<Certificate<'static>>,
    ) -> Self {
        let tls = TlsConfig::builder().root_certs(root_certs(trusted)).build();
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls);
        Self {
            agent: config.build().into(),
            collector,
            outage: Mutex::default(),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        // The log of the client library would contain the URL and its secrets, and its events could become spans to export.
        with_default(NoSubscriber::default(), || {
            let (parts, body) = request.into_parts();
            let answer = self.agent.run(Request::from_parts(parts, &*body))?;
            let (parts, mut body) = answer.into_parts();
            let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec()?;
            Ok(Response::from_parts(parts, body.into()))
        })
    }

    /// Logs the first failure of an outage, and its end.
    fn log(&self, failure: Option<&dyn fmt::Display>) {
        let mut outage = lock(&self.outage);
        let collector = &self.collector;
        match failure {
            Some(reason) if !outage.has_begun() => {
                outage.is_news(&reason);
                warn!(collector, %reason, "cannot export traces; spans are dropped until the collector accepts them");
            }
            Some(_) => {}
            None if outage.end() => info!(collector, "traces are exported again"),
            None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.send(request) {
            Ok(response) => {
                let status = response.status();
                let failure = format!("the collector answered with status {}", status.as_u16());
                let failure: &dyn fmt::Display = &failure;
                self.log((!status.is_success()).then_some(failure));
                Ok(response)
            }
            Err(error) => {
                self.log(Some(&error));
                Err(error.into())
            }
        }
    }
}

/// Returns the certificates to trust: these, or those of the system or of `SSL_CERT_FILE`, or those that are compiled in.
fn root_certs(trusted: Vec<Certificate<'static>>) -> RootCerts {
    if !trusted.is_empty() {
        return RootCerts::Specific(Arc::new(trusted));
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let found = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    RootCerts::Specific(Arc::new(found.collect()))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("collector", &self.collector)
            .finish_non_exhaustive()
    }
}
