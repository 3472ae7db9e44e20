//! A collector that is away, comes back, and refuses what it gets. A program of its own, because its subscriber is that of the
//! process: the exporter's thread logs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::Write,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use microagent_otel::Traces;
use tracing::{Level, dispatcher, info_span};
use tracing_subscriber::{Layer, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt};

use support::Collector;

/// The lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn containing(&self, part: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).count()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn a_collector_that_is_away_is_logged_once_and_costs_no_time() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let traces = Traces::to(&format!("http://{address}/v1/traces"), "shop").unwrap();
    let lines = Lines::default();
    let log = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_ansi(false);
    let subscriber = tracing_subscriber::registry()
        .with(traces.layer())
        .with(log.with_filter(LevelFilter::INFO));
    dispatcher::set_global_default(subscriber.into()).unwrap();

    let began = Instant::now();
    for _ in 0..100_000 {
        drop(tracing::span!(target: "microagent::trace", Level::TRACE, "one"));
    }
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(60),
        "{took:?}: nothing waits for the collector"
    );
    // Each of them waits until the exporter has tried, or for 5 s.
    let tries = || {
        for _ in 0..3 {
            drop(info_span!("one"));
            let _ = traces.flush();
        }
    };
    tries();
    assert_eq!(lines.containing("cannot export traces"), 1);

    let collector = Collector::start_at(address);
    let deadline = Instant::now() + Duration::from_secs(60);
    while collector.spans("two").is_empty() {
        assert!(Instant::now() < deadline, "it exports again");
        drop(info_span!("two"));
        let _ = traces.flush();
    }
    traces.flush().unwrap();
    assert_eq!(lines.containing("traces are exported again"), 1);

    collector.answer_with(401);
    tries();
    assert_eq!(lines.containing("cannot export traces"), 2);
    assert_eq!(lines.containing("status 401"), 1);
    traces.shutdown(Duration::from_secs(60));
}
