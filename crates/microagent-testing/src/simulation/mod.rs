//! A whole group in one test: each agent as if in a process of its own, in virtual time, with faults that a seed decides.
//!
//! Everything runs on one thread, on `memory://`, in paused time. The faults and the framework's own random numbers come
//! from the seed, so a run that fails, fails again with the same seed. Processes and connections are simulated; effects
//! of an agent on the outside world are real.

mod drivers;
mod faults;
mod faulty_stream;
mod group;
mod member;
mod simulated_run;

use std::{
    any::Any,
    future::Future,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use microagent_core::{BrokerOptions, BusOptions, MemoryOptions, Result};
use tokio::{runtime::Builder, time::timeout};

pub use self::{faults::Faults, group::Group};
use self::{
    member::Deployment,
    simulated_run::{SharedRun, SimulatedRun},
};

/// The environment variable with the seeds to run instead: `17`, or `0..1000`.
const SEEDS: &str = "SIMULATION_SEED";

/// The default start of simulated time: 2026-01-01.
const BEGINNING: Duration = Duration::from_secs(1_767_225_600);

/// The number of lines of the record that the report of a failure shows.
const SHOWN: usize = 60;

/// Runs a test of a group, once for each seed.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use microagent_core::{
///     Agent, Blueprint, ConsumerOptions, Context, Fields, HandlerFuture, MicroAgent, Queue, Result, MessageInput,
/// };
/// use microagent_testing::{Faults, Simulation};
/// use serde_json::json;
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// /// The mails that were sent: the outside world, which survives crashes.
/// type Sent = Arc<Mutex<Vec<u64>>>;
///
/// struct Mailer(Sent);
///
/// // What `#[agent]` makes of `#[consumer(MAILER)] async fn send(&self, number: u64)`.
/// impl MicroAgent for Mailer {
///     const NAME: &'static str = "Mailer";
///
///     fn blueprint() -> Blueprint<Self> {
///         Blueprint::new().consumer("send", MAILER, ConsumerOptions::default(), send)
///     }
///
///     async fn create(_cx: &Context) -> Result<Self> {
///         Ok(Self(Sent::default()))
///     }
/// }
///
/// fn send(agent: &Arc<Mailer>, taken: &mut MessageInput<'_>) -> HandlerFuture<()> {
///     let number: u64 = Fields::of(taken.message.payload())?.get("number")?;
///     let agent = Arc::clone(agent);
///     Ok(Box::pin(async move {
///         tokio::time::sleep(Duration::from_millis(200)).await;
///         agent.0.lock().unwrap().push(number);
///         Ok(())
///     }))
/// }
///
/// // In a `#[test]`:
/// let faults = Faults::none().crash_every(Duration::from_secs(2)).duplicate(0.1);
/// Simulation::new().seeds(0..5).faults(faults).run(|group| async move {
///     let sent = Sent::default();
///     let outbox = Arc::clone(&sent);
///     group.start("mailer", move || Agent::new(Mailer(Arc::clone(&outbox)))).await?;
///     for number in 0..50 {
///         group.broker().send(MAILER, &json!({"number": number})).await?;
///     }
///     group.end_faults().await;
///     let all = || (0..50).all(|number| sent.lock().unwrap().contains(&number));
///     group.eventually("every mail is sent", Duration::from_secs(60), all).await;
///     Ok(())
/// });
/// ```
///
/// The report of a failure contains the seed and the record of faults; `SIMULATION_SEED=17` in the environment runs that seed
/// alone, and `SIMULATION_SEED=0..1000` runs many.
///
/// The seed does not decide real time, threads and processes that the agents start, and the order of a `HashMap` or a
/// `select!` of theirs. A task that a handler spawns outlives a crash of its member.
#[derive(Clone, Debug)]
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation {
    seeds: Range<u64>,
    faults: Faults,
    bus: BusOptions,
    broker: BrokerOptions,
    begins: SystemTime,
    limit: Duration,
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulation {
    /// Creates a simulation without faults, of 20 seeds.
    pub fn new() -> Self {
        Self {
            seeds: 0..20,
            faults: Faults::none(),
            bus: BusOptions::default(),
            broker: BrokerOptions::default(),
            begins: SystemTime::UNIX_EPOCH + BEGINNING,
            limit: Duration::from_secs(24 * 3600),
        }
    }

    /// Sets the seeds to run. Default: 0 to 19.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Sets the faults to inject. Default: none.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Sets the options of the members' buses.
    pub fn bus(mut self, options: BusOptions) -> Self {
        self.bus = options;
        self
    }

    /// Sets the options of the members' brokers.
    pub fn broker(mut self, options: BrokerOptions) -> Self {
        self.broker = options;
        self
    }

    /// Sets the start of simulated time. Default: 2026-01-01.
    pub fn begins(mut self, at: SystemTime) -> Self {
        self.begins = at;
        self
    }

    /// Sets the simulated time that a run may take. Default: 24 h.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the test with each seed.
    ///
    /// # Panics
    /// If the test panics, fails or exceeds its time, with the seed and the record; and if `SIMULATION_SEED` is not a list of
    /// seeds.
    pub fn run<Test, Running>(self, test: Test)
    where
        Test: Fn(Group) -> Running,
        Running: Future<Output = Result<()>>,
    {
        let seeds = match std::env::var(SEEDS) {
            Ok(text) => match seeds_of(&text) {
                Some(seeds) => seeds,
                None => panic!(
                    "invalid {SEEDS} `{text}`: expected a seed such as `17` or a range such as `0..1000`"
                ),
            },
            Err(_) => self.seeds.clone(),
        };
        for seed in seeds {
            self.run_seed(seed, &test);
        }
    }

    fn run_seed<Test, Running>(&self, seed: u64, test: &Test)
    where
        Test: Fn(Group) -> Running,
        Running: Future<Output = Result<()>>,
    {
        let threads = Arc::new(AtomicBool::new(false));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            // The simulation itself stays on this thread: what starts another one is `spawn_blocking`.
            .on_thread_start({
                let threads = Arc::clone(&threads);
                move || threads.store(true, Ordering::Relaxed)
            })
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => panic!("cannot create a tokio runtime for the simulation: {error}"),
        };
        // The framework's own random numbers: ids, backoff, jitter.
        fastrand::seed(seed);
        let mut run = None;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let run: &SharedRun = run.insert(Arc::new(SimulatedRun::new(
                    seed,
                    self.faults.clone(),
                    self.begins,
                )));
                let group = Group::new(run, &self.deployment(seed)?)?;
                let limit = self.limit;
                match timeout(limit, test(group)).await {
                    Ok(ended) => ended,
                    Err(_) => Err(format!(
                        "the test did not end within {limit:?} of simulated time"
                    )
                    .into()),
                }
            })
        }));
        let threads = threads.load(Ordering::Relaxed);
        let failure = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => text_of(panic.as_ref()),
        };
        let record = run.map_or_else(Vec::new, |run| run.record());
        panic!("{}", report(seed, &failure, threads, &record));
    }

    fn deployment(&self, seed: u64) -> Result<Deployment> {
        // A server of its own, also beside other tests of the process.
        let name = format!("memory://simulation-{seed}-{:016x}", unique());
        Ok(Deployment {
            server: MemoryOptions::parse(&name)?,
            bus: self.bus.clone(),
            broker: self.broker.clone(),
        })
    }
}

/// The notice about a run that its seed does not decide alone.
const THREADS: &str = "a blocking task ran on a thread of its own (`spawn_blocking`, `tokio::fs` or the resolver of names): this seed \
                       may not repeat the run";

/// Returns a number that no other simulation of the process has. It does not depend on the seed.
fn unique() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn seeds_of(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((from, to)) => Some(from.parse().ok()?..to.parse().ok()?),
        None => text
            .parse()
            .ok()
            .map(|seed: u64| seed..seed.saturating_add(1)),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

fn report(seed: u64, failure: &str, threads: bool, record: &[String]) -> String {
    let shown = &record[record.len().saturating_sub(SHOWN)..];
    let before = match record.len() - shown.len() {
        0 => String::new(),
        more => format!("  … {more} lines before\n"),
    };
    let lines: String = shown.iter().map(|line| format!("  {line}\n")).collect();
    let threads = if threads {
        format!("\n{THREADS}")
    } else {
        String::new()
    };
    format!(
        "seed {seed} of the simulation fails: {failure}{threads}\n{SEEDS}={seed} runs it alone; the record until then:\n{before}{lines}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_or_a_range_is_accepted() {
        assert_eq!(seeds_of("17"), Some(17..18));
        assert_eq!(seeds_of("0..1000"), Some(0..1000));
        assert_eq!(seeds_of("all"), None);
    }

    #[test]
    fn a_report_shows_the_end_of_a_long_record() {
        let record: Vec<_> = (0..100).map(|n| format!("line {n}")).collect();
        let text = report(3, "oh", false, &record);
        assert!(
            text.starts_with("seed 3 of the simulation fails: oh\nSIMULATION_SEED=3 runs it alone")
        );
        assert!(
            text.contains("… 40 lines before")
                && text.contains("line 40\n")
                && !text.contains("line 39\n")
        );
    }
}
