//! Rounds, the cost of each side, and the line that is printed for a case.

use std::{
    future::Future,
    io::Write,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use microagent::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// The result of a case.
pub(crate) type Line = Map<String, Value>;

/// The rounds and sides of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The number of times that both sides take turns.
    pub(crate) rounds: u32,
    /// The only side that runs, for a profiler.
    pub(crate) only: Option<Side>,
}

/// One side of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// With MicroAgent.
    Ours,
    /// By hand.
    Raw,
}

impl Plan {
    /// The same plan with at most this many rounds.
    pub(crate) fn at_most(self, rounds: u32) -> Self {
        Self {
            rounds: self.rounds.min(rounds),
            ..self
        }
    }

    fn runs(self, side: Side) -> bool {
        self.only.is_none_or(|only| only == side)
    }
}

/// The cost of a piece of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    time: Duration,
    /// The CPU time of the process; `None` if several processes did the work.
    cpu: Option<Duration>,
}

impl Cost {
    /// The cost that another process has measured.
    pub(crate) fn of_process(time: Duration, cpu: Duration) -> Self {
        let cpu = Some(cpu);
        Self { time, cpu }
    }

    /// A cost of which only the duration is known.
    pub(crate) fn of_others(time: Duration) -> Self {
        Self { time, cpu: None }
    }
}

/// Measures a piece of work from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    began: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu_time(),
        }
    }

    pub(crate) fn stop(self) -> Cost {
        Cost {
            time: self.began.elapsed(),
            cpu: Some(cpu_time().saturating_sub(self.cpu)),
        }
    }

    /// Returns the duration alone, for work that other processes did.
    pub(crate) fn stop_for_others(self) -> Cost {
        Cost::of_others(self.began.elapsed())
    }
}

/// Returns the CPU time that all threads of this process have used.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}

/// Measures a future.
pub(crate) async fn timed(work: impl Future<Output = Result<()>>) -> Result<Cost> {
    let watch = Stopwatch::start();
    work.await?;
    Ok(watch.stop())
}

/// Lets both sides handle `count` messages by turns, and compares the rates of their best rounds.
pub(crate) async fn rates<O, R>(
    plan: Plan,
    count: u32,
    ours: impl Fn() -> O,
    raw: impl Fn() -> R,
) -> Result<Line>
where
    O: Future<Output = Result<Cost>>,
    R: Future<Output = Result<Cost>>,
{
    let (mut of_ours, mut of_raw) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds.max(1) {
        if plan.runs(Side::Raw) {
            of_raw.push(raw().await?);
        }
        if plan.runs(Side::Ours) {
            of_ours.push(ours().await?);
        }
    }
    let best = |costs: &[Cost]| costs.iter().map(|cost| cost.time).min();
    let ratio = best(&of_raw)
        .zip(best(&of_ours))
        .map(|(raw, ours)| raw.as_secs_f64() / ours.as_secs_f64());
    let per_second = |costs: &[Cost]| {
        let time = best(costs)?.as_secs_f64();
        Some((f64::from(count) / time).round())
    };
    let cpu = |costs: &[Cost]| {
        let least = costs.iter().filter_map(|cost| cost.cpu).min()?;
        Some(two_digits(least.as_secs_f64() * 1e6 / f64::from(count)))
    };
    Ok(line([
        ("ours_per_s", per_second(&of_ours)),
        ("raw_per_s", per_second(&of_raw)),
        ("ours_cpu_us", cpu(&of_ours)),
        ("raw_cpu_us", cpu(&of_raw)),
        ("ratio", ratio.map(two_digits)),
    ]))
}

/// Lets both sides make `trips` single trips a round, in turns, and compares the latencies of their best rounds.
pub(crate) async fn latencies(
    plan: Plan,
    trips: u32,
    mut ours: impl AsyncFnMut() -> Result<Duration>,
    mut raw: impl AsyncFnMut() -> Result<Duration>,
) -> Result<Line> {
    let (mut best_ours, mut best_raw) = (None, None);
    for _ in 0..plan.rounds.max(1) {
        let (mut of_ours, mut of_raw) = (Vec::new(), Vec::new());
        for _ in 0..trips {
            if plan.runs(Side::Raw) {
                of_raw.push(raw().await?);
            }
            if plan.runs(Side::Ours) {
                of_ours.push(ours().await?);
            }
        }
        best_raw = Percentiles::better_of(best_raw, Percentiles::of(of_raw));
        best_ours = Percentiles::better_of(best_ours, Percentiles::of(of_ours));
    }
    let ratio = best_raw
        .zip(best_ours)
        .map(|(raw, ours)| two_digits(raw.p50 / ours.p50));
    Ok(line([
        ("ours_p50_us", best_ours.map(|best| best.p50)),
        ("ours_p99_us", best_ours.map(|best| best.p99)),
        ("raw_p50_us", best_raw.map(|best| best.p50)),
        ("raw_p99_us", best_raw.map(|best| best.p99)),
        ("ratio", ratio),
    ]))
}

/// Returns the ratio of a line; `None` if only one side ran.
pub(crate) fn ratio(line: &Line) -> Option<f64> {
    line.get("ratio").and_then(Value::as_f64)
}

/// The ratios of a case in several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) lowest: f64,
    pub(crate) median: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// Returns the spread of these ratios; `None` if there are none.
    pub(crate) fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_unstable_by(f64::total_cmp);
        let (lowest, highest) = (*ratios.first()?, *ratios.last()?);
        let middle = ratios.len() / 2;
        let median = match ratios.len() % 2 {
            0 => ratios[middle - 1].midpoint(ratios[middle]),
            _ => ratios[middle],
        };
        Some(Self {
            lowest,
            median: two_digits(median),
            highest,
        })
    }
}

/// Prints the line of a case.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn print(case: &str, run: u32, line: &Line) -> Result<()> {
    let mut whole = Map::from_iter([("case".to_owned(), json!(case))]);
    if run > 0 {
        whole.insert("run".to_owned(), json!(run));
    }
    whole.extend(line.clone());
    write_line(&Value::Object(whole))
}

/// Prints the ratios of a case over all runs.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn print_spread(case: &str, floor: Option<f64>, spread: &Spread) -> Result<()> {
    let Spread {
        lowest,
        median,
        highest,
    } = spread;
    write_line(
        &json!({"case": case, "floor": floor, "lowest": lowest, "median": median, "highest": highest}),
    )
}

fn write_line(line: &Value) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").map_err(Error::from)
}

/// Latencies in microseconds.
#[derive(Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Percentiles {
    fn better_of(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter()
            .chain(other)
            .min_by(|one, other| one.p50.total_cmp(&other.p50))
    }

    fn of(mut trips: Vec<Duration>) -> Option<Self> {
        trips.sort_unstable();
        let micros = |part: usize| {
            let trip = trips.get(trips.len() * part / 100)?;
            Some((trip.as_secs_f64() * 1e7).round() / 10.0)
        };
        Some(Self {
            p50: micros(50)?,
            p99: micros(99)?,
        })
    }
}

fn line<const N: usize>(entries: [(&str, Option<f64>); N]) -> Line {
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), json!(value?))))
        .collect()
}

fn two_digits(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_runs_has_the_median_in_the_middle() {
        let spread = |ratios: &[f64]| Spread::of(ratios.to_vec());
        assert_eq!(spread(&[]), None);
        let of_three = spread(&[0.7, 0.5, 0.9]).unwrap();
        assert_eq!(
            (of_three.lowest, of_three.median, of_three.highest),
            (0.5, 0.7, 0.9)
        );
        assert_eq!(spread(&[0.5, 0.7, 0.9, 0.6]).unwrap().median, 0.65);
    }
}
