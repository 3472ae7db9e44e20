//! The cases of `memory://` while somebody looks, beside the same while nobody does.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use microagent::{operate::HttpServer, otel::Traces, prelude::*, status::StatusSlot};
use tokio::{runtime::Builder, task::spawn_blocking};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt;

use super::memory::{consume_waiting, receive_published};
use crate::measure::{self, Cost, Line, Plan};

/// Enough messages for several scrapes.
const SCRAPED: u32 = 1_000_000;
const TRACED: u32 = 200_000;

/// The time between two scrapes. Prometheus asks every 15 s or less often.
const SCRAPE_EVERY: Duration = Duration::from_millis(200);

/// The collector of the traced cases, which is away: recording is measured, and not a collector.
const NOBODY: &str = "http://127.0.0.1:9/v1/traces";

/// The consumer while its metrics are scraped.
pub(crate) async fn consume_scraped(plan: Plan) -> Result<Line> {
    let scraped = || while_scraped(|slot| consume_waiting(SCRAPED, slot));
    let unseen = || consume_waiting(SCRAPED, StatusSlot::new());
    measure::rates(plan, SCRAPED, scraped, unseen).await
}

/// The receiver while its metrics are scraped.
pub(crate) async fn signal_scraped(plan: Plan) -> Result<Line> {
    let scraped = || while_scraped(|slot| receive_published(SCRAPED, slot));
    let unseen = || receive_published(SCRAPED, StatusSlot::new());
    measure::rates(plan, SCRAPED, scraped, unseen).await
}

/// The consumer with spans that OpenTelemetry records.
pub(crate) async fn consume_traced(plan: Plan) -> Result<Line> {
    beside_untraced(plan, || consume_waiting(TRACED, StatusSlot::new())).await
}

/// The receiver with spans that OpenTelemetry records.
pub(crate) async fn signal_traced(plan: Plan) -> Result<Line> {
    beside_untraced(plan, || receive_published(TRACED, StatusSlot::new())).await
}

async fn while_scraped<F: Future<Output = Result<Cost>>>(
    work: impl FnOnce(StatusSlot) -> F,
) -> Result<Cost> {
    let slot = StatusSlot::new();
    let server = HttpServer::start("127.0.0.1:0", vec![("bench".to_owned(), slot.clone())])?;
    let scraper = Scraper::start(server.address());
    let cost = work(slot).await?;
    scraper.stop()?;
    Ok(cost)
}

/// A thread that asks for the metrics again and again, as Prometheus does.
struct Scraper {
    stop: Sender<()>,
    thread: JoinHandle<Result<u32>>,
}

impl Scraper {
    fn start(address: SocketAddr) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut seen = 0;
            while stopped.recv_timeout(SCRAPE_EVERY) == Err(RecvTimeoutError::Timeout) {
                seen += u32::from(scrape(address)?);
            }
            Ok(seen)
        });
        Self { stop, thread }
    }

    fn stop(self) -> Result<()> {
        // The thread has ended if a scrape failed.
        let _ = self.stop.send(());
        let seen = self.thread.join();
        match seen.unwrap_or_else(|_| Err("the scraper panicked".into()))? {
            0 => Err("no scrape saw the handler at work".into()),
            _ => Ok(()),
        }
    }
}

/// Returns true if the handler is in the metrics, as it is once the agent has started.
fn scrape(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if !text.starts_with("HTTP/1.0 200") {
        return Err(format!("no metrics: {text}").into());
    }
    Ok(text.contains("microagent_handler_runs_total{"))
}

async fn beside_untraced<F>(
    plan: Plan,
    work: impl Fn() -> F + Copy + Send + 'static,
) -> Result<Line>
where
    F: Future<Output = Result<Cost>>,
{
    let traces = Traces::to(NOBODY, "bench")?;
    let traced = || {
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        on_a_thread(Some(subscriber.into()), work)
    };
    let untraced = || on_a_thread(None, work);
    let line = measure::rates(plan, TRACED, traced, untraced).await;
    traces.shutdown(Duration::from_secs(1));
    line
}

/// Runs the work on a thread with a runtime and a subscriber of its own, so that the other cases have none.
async fn on_a_thread<F>(
    subscriber: Option<Dispatch>,
    work: impl Fn() -> F + Send + 'static,
) -> Result<Cost>
where
    F: Future<Output = Result<Cost>>,
{
    let run = move || {
        let _guard = subscriber.as_ref().map(dispatcher::set_default);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    };
    let ended = spawn_blocking(run).await;
    ended.map_err(|error| error.to_string())?
}
