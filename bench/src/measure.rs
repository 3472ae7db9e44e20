//! Rounds, the best of them, and the line that is printed.

use std::{
    future::Future,
    io::Write,
    time::{Duration, Instant},
};

use microagent::Result;
use serde_json::{Map, Value, json};

/// What a case found.
pub(crate) type Line = Map<String, Value>;

/// Lets both sides handle `count` messages by turns, and compares their rates.
pub(crate) async fn rates<O, R>(
    rounds: u32,
    count: u32,
    ours: impl Fn() -> O,
    raw: impl Fn() -> R,
) -> Result<Line>
where
    O: Future<Output = Result<Duration>>,
    R: Future<Output = Result<Duration>>,
{
    let (mut best_ours, mut best_raw) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds.max(1) {
        best_raw = best_raw.min(raw().await?);
        best_ours = best_ours.min(ours().await?);
    }
    let per_second = |took: Duration| (f64::from(count) / took.as_secs_f64()).round();
    Ok(line([
        ("ours_per_s", json!(per_second(best_ours))),
        ("raw_per_s", json!(per_second(best_raw))),
        (
            "ratio",
            json!(two_digits(best_raw.as_secs_f64() / best_ours.as_secs_f64())),
        ),
    ]))
}

/// Lets both sides make so many single trips a round, one after the other by turns, and compares the latencies of their best
/// rounds.
pub(crate) async fn latencies(
    rounds: u32,
    trips: u32,
    mut ours: impl AsyncFnMut() -> Result<Duration>,
    mut raw: impl AsyncFnMut() -> Result<Duration>,
) -> Result<Line> {
    let (mut best_ours, mut best_raw) = (Percentiles::WORST, Percentiles::WORST);
    for _ in 0..rounds.max(1) {
        let (mut of_ours, mut of_raw) = (Vec::new(), Vec::new());
        for _ in 0..trips {
            of_raw.push(raw().await?);
            of_ours.push(ours().await?);
        }
        best_raw = best_raw.or_better(Percentiles::of(of_raw));
        best_ours = best_ours.or_better(Percentiles::of(of_ours));
    }
    Ok(line([
        ("ours_p50_us", json!(best_ours.p50)),
        ("ours_p99_us", json!(best_ours.p99)),
        ("raw_p50_us", json!(best_raw.p50)),
        ("raw_p99_us", json!(best_raw.p99)),
        ("ratio", json!(two_digits(best_raw.p50 / best_ours.p50))),
    ]))
}

/// How long this took.
pub(crate) async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let began = Instant::now();
    work.await?;
    Ok(began.elapsed())
}

/// The ratio of a line.
pub(crate) fn ratio(found: &Line) -> f64 {
    found.get("ratio").and_then(Value::as_f64).unwrap_or(0.0)
}

/// Prints a case's line.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(case: &str, found: &Line) -> Result<()> {
    let mut whole = line([("case", json!(case))]);
    whole.extend(found.clone());
    writeln!(std::io::stdout(), "{}", Value::Object(whole))?;
    Ok(())
}

/// In microseconds.
#[derive(Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Percentiles {
    const WORST: Self = Self {
        p50: f64::INFINITY,
        p99: f64::INFINITY,
    };

    fn or_better(self, other: Self) -> Self {
        if other.p50 < self.p50 { other } else { self }
    }

    fn of(mut trips: Vec<Duration>) -> Self {
        trips.sort_unstable();
        let at = |part: usize| {
            trips
                .get(trips.len() * part / 100)
                .copied()
                .unwrap_or_default()
        };
        let micros = |trip: Duration| (trip.as_secs_f64() * 1e7).round() / 10.0;
        Self {
            p50: micros(at(50)),
            p99: micros(at(99)),
        }
    }
}

fn line<const N: usize>(entries: [(&str, Value); N]) -> Line {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn two_digits(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
