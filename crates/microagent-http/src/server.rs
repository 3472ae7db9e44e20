//! The HTTP server: a thread of its own, which answers while the runtimes of the agents are blocked, within bounds that no client can
//! exceed.

use std::{
    convert::Infallible,
    fmt,
    net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use microagent_core::{Error, ErrorKind, Result};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::{Mutex, Semaphore, oneshot},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    answer::{HttpAnswer, Request},
    report::{AgentReport, Reports},
};

/// The greatest number of connections at a time. Further ones wait.
const CONNECTIONS: usize = 256;

/// The time in which a client must have sent its request.
const REQUEST: Duration = Duration::from_secs(2);

/// The longest life of a connection, which carries one request.
const CONNECTION: Duration = Duration::from_secs(10);

/// The most bytes of a request that are kept.
const REQUEST_BYTES: usize = 16 * 1024;

/// Requests within this time share the reports of the agents.
const FRESH: Duration = Duration::from_millis(200);

/// The pause after a connection that could not be accepted, as when the process has no more files.
const PAUSE: Duration = Duration::from_millis(500);

type Response = hyper::Response<Full<Bytes>>;

/// A running HTTP server. It ends when it is dropped.
///
/// It has a thread and a runtime of its own, so that a blocked agent is reported as blocked and not as dead. A connection carries one
/// request; the server has no authentication, so that its address should be reachable only for probes and Prometheus.
pub struct HttpServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens on an address, such as `0.0.0.0:9090` or `127.0.0.1:0`, and answers from these reports.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for an invalid address and for one that cannot be listened on.
    pub fn start(address: &str, reports: impl Reports) -> Result<Self> {
        let invalid = |error: &dyn fmt::Display| {
            let text =
                format!("cannot serve HTTP on `{address}`: {error}; expected IP:PORT or HOST:PORT");
            Error::new(ErrorKind::Configuration, text)
        };
        let addresses: Vec<_> = address
            .to_socket_addrs()
            .map_err(|error| invalid(&error))?
            .collect();
        let listener = StdListener::bind(&addresses[..]).map_err(|error| invalid(&error))?;
        listener
            .set_nonblocking(true)
            .map_err(|error| invalid(&error))?;
        let bound = listener.local_addr().map_err(|error| invalid(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| invalid(&error))?;
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(State {
            reports: Arc::new(reports),
            latest: Mutex::new(None),
        });
        let thread = thread::Builder::new()
            .name("microagent-http".to_owned())
            .spawn(move || run(&runtime, listener, state, stopped))
            .map_err(|error| invalid(&error))?;
        info!(address = %bound, "serving metrics and health");
        Ok(Self {
            address: bound,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // It ends when the sender is dropped.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported there.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn run(
    runtime: &Runtime,
    listener: StdListener,
    state: Arc<State>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                tokio::select! {
                    () = accept(listener, state) => {}
                    _ = stopped => {}
                }
            }
            Err(error) => warn!(%error, "cannot serve metrics and health"),
        }
    });
}

/// Accepts connections without end.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &state).await {
                        debug!(%peer, error, "a connection for metrics or health has failed");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection for metrics or health; will keep trying");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, state: &State) -> std::result::Result<(), String> {
    let service = service_fn(async |request| Ok::<_, Infallible>(state.respond(&request).await));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .keep_alive(false)
        .max_buf_size(REQUEST_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION, connection).await {
        Ok(served) => served.map_err(|error| error.to_string()),
        Err(_) => Err(format!("not served within {CONNECTION:?}")),
    }
}

/// The source of the answers, and the reports that were made last.
struct State {
    reports: Arc<dyn Reports>,
    latest: Mutex<Option<(Instant, Arc<[AgentReport]>)>>,
}

impl State {
    async fn respond(&self, request: &hyper::Request<Incoming>) -> Response {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response =
                response_of(HttpAnswer::refusal(405, "expected the method GET or HEAD"));
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        response_of(self.answer(target).await)
    }

    async fn answer(&self, target: &str) -> HttpAnswer {
        match Request::parse(target) {
            Err(refused) => refused,
            Ok(request) if request.needs_reports() => match self.latest().await {
                Ok(reports) => request.answer(&reports),
                Err(error) => HttpAnswer::refusal(500, error),
            },
            Ok(request) => request.answer_live(&self.reports.names()),
        }
    }

    /// Returns reports that were made a moment ago, or makes new ones. One request at a time does so.
    async fn latest(&self) -> std::result::Result<Arc<[AgentReport]>, String> {
        let mut latest = self.latest.lock().await;
        if let Some((made, reports)) = &*latest
            && made.elapsed() < FRESH
        {
            return Ok(Arc::clone(reports));
        }
        let source = Arc::clone(&self.reports);
        let made = spawn_blocking(move || source.reports()).await;
        let reports: Arc<[AgentReport]> = made.map_err(|error| error.to_string())?.into();
        *latest = Some((Instant::now(), Arc::clone(&reports)));
        Ok(reports)
    }
}

fn response_of(answer: HttpAnswer) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.code).unwrap_or_default();
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
