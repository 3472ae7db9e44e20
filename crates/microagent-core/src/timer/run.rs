//! The loops that let schedules fire. When they fire is arithmetic, and stands in `periodic` and `cron`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::{cron::CronSchedule, periodic::Grid};
use crate::{
    Clock, Context, CronOptions, Error, ErrorKind, MicroAgent, Overlap, Result,
    agent::{CronEntry, Life, PeriodicEntry, Task},
    dispatch::run::{Site, fenced, record},
    stats::HandlerStats,
};

/// The wall clock may step; a cron loop looks at it at least this often.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// Lets the agent's periodic tasks fire until it stops.
pub(crate) fn run_periodic<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    entries: Vec<PeriodicEntry<A>>,
) {
    for entry in entries {
        let options = entry.options;
        let fires = Fires::new(
            agent,
            life,
            entry.name,
            entry.call,
            Kind::Periodic,
            options.timeout,
            options.overlap,
        );
        let grid = Grid::new(Instant::now() + options.start_after, options.period);
        life.tasks.spawn(fires.by_grid(grid));
    }
}

/// Lets the agent's cron tasks fire until it stops.
///
/// # Errors
/// [`ErrorKind::Configuration`] for a schedule or zone that is none; nothing has been started then.
pub(crate) fn run_cron<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    entries: Vec<CronEntry<A>>,
    clock: &Arc<dyn Clock>,
) -> Result<()> {
    let schedules: Vec<_> = entries
        .iter()
        .map(|entry| schedule_of(entry.name, &entry.options))
        .collect::<Result<_>>()?;
    for (entry, schedule) in entries.into_iter().zip(schedules) {
        let kind = Kind::Cron(entry.options.spec.into_owned());
        let fires = Fires::new(
            agent,
            life,
            entry.name,
            entry.call,
            kind,
            entry.options.timeout,
            entry.options.overlap,
        );
        life.tasks
            .spawn(fires.by_clock(schedule, Arc::clone(clock)));
    }
    Ok(())
}

fn schedule_of(handler: &str, options: &CronOptions) -> Result<CronSchedule> {
    let refused = |error: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Configuration,
            format!("cron task `{handler}`, \"{}\": {error}", options.spec),
        )
    };
    let schedule = CronSchedule::new(&options.spec).map_err(|error| refused(&error))?;
    match &options.tz {
        Some(zone) => schedule.in_zone(zone).map_err(|error| refused(&error)),
        None => Ok(schedule),
    }
}

enum Kind {
    Periodic,
    Cron(String),
}

/// What fires, and what happens when it fires again too early.
struct Fires {
    name: &'static str,
    kind: Kind,
    cx: Context,
    life: Arc<Life>,
    start: Box<dyn Fn() -> futures_util::future::BoxFuture<'static, Result<()>> + Send + Sync>,
    timeout: Duration,
    overlap: Overlap,
    stats: Arc<HandlerStats>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    runs: usize,
    waiting: bool,
}

impl Fires {
    fn new<A: MicroAgent>(
        agent: &Arc<A>,
        life: &Arc<Life>,
        name: &'static str,
        call: Task<A>,
        kind: Kind,
        timeout: Duration,
        overlap: Overlap,
    ) -> Arc<Self> {
        let (agent, cx) = (Arc::clone(agent), life.cx.clone());
        Arc::new(Self {
            name,
            kind,
            cx: life.cx.clone(),
            life: Arc::clone(life),
            start: Box::new(move || call(&agent, &cx)),
            timeout,
            overlap,
            stats: life.cx.stats().handler(name),
            running: Mutex::default(),
        })
    }

    async fn by_grid(self: Arc<Self>, grid: Grid) {
        let mut due = grid.first();
        while self.life_goes_on(sleep_until(due)).await {
            self.fire();
            due = grid.next_after(Instant::now());
        }
    }

    /// Follows the wall clock: an instant fires once, whatever the clock does, and instants that were slept through
    /// fire once together.
    async fn by_clock(self: Arc<Self>, schedule: CronSchedule, clock: Arc<dyn Clock>) {
        let mut after = clock.now();
        while let Some(due) = schedule.next(after) {
            if !self.wait_for(due, &*clock).await {
                return;
            }
            self.fire();
            after = due.max(clock.now());
        }
        warn!(
            agent = self.cx.name(),
            handler = self.name,
            "the schedule never fires again"
        );
    }

    /// False when the agent stops first.
    async fn wait_for(&self, due: SystemTime, clock: &dyn Clock) -> bool {
        loop {
            let Ok(left) = due.duration_since(clock.now()) else {
                return true;
            };
            if left.is_zero() {
                return true;
            }
            if !self.life_goes_on(sleep(left.min(LOOK_AT_CLOCK))).await {
                return false;
            }
        }
    }

    async fn life_goes_on(&self, wait: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.cx.stopping().cancelled() => false,
            () = wait => true,
        }
    }

    fn fire(self: &Arc<Self>) {
        if self.admit() {
            let fires = Arc::clone(self);
            self.life.tasks.spawn(async move { fires.run().await });
        }
    }

    fn admit(&self) -> bool {
        let mut running = self.running();
        let free = running.runs == 0 || self.overlap == Overlap::Allow;
        if free {
            running.runs += 1;
            return true;
        }
        if self.overlap == Overlap::Queue && !running.waiting {
            running.waiting = true;
            return false;
        }
        drop(running);
        self.stats.dropped.count();
        warn!(
            agent = self.cx.name(),
            handler = self.name,
            "the last run is still going: this one is left out"
        );
        false
    }

    async fn run(&self) {
        loop {
            let began = Instant::now();
            let end = match crate::dispatch::run::decoded(|| Ok((self.start)())) {
                Ok(run) => fenced(run, self.timeout, &self.life.killed).await,
                Err(end) => end.of(),
            };
            record(&end, &self.site(), &self.stats, began);
            if !self.goes_on() {
                return;
            }
        }
    }

    /// Whether a fire waited for this run to end.
    fn goes_on(&self) -> bool {
        let mut running = self.running();
        let again = std::mem::take(&mut running.waiting) && !self.cx.stopping().is_cancelled();
        if !again {
            running.runs -= 1;
        }
        again
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn site(&self) -> Site<'_> {
        let (kind, source) = match &self.kind {
            Kind::Periodic => ("periodic", ""),
            Kind::Cron(spec) => ("cron", spec.as_str()),
        };
        Site {
            agent: self.cx.name(),
            handler: self.name,
            kind,
            source,
        }
    }
}
