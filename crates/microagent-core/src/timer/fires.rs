//! The fires of a schedule: a fire waits for its jitter, keeps the overlap policy, asks for its lease, and runs.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tracing::{Span, debug, error, warn};

use super::once::{Claim, OnceLease};
use crate::{
    Context, MicroAgent, Overlap, Result, RetryPolicy,
    agent::{Life, Task},
    dispatch::{
        outcome::{self, FailurePolicy},
        run::{self, End, Run, Site, record},
    },
    driver::lock,
    stats::{FireLoad, HandlerSite, HandlerStats, LeftOut, ScheduleStats},
    status::HandlerKind,
    trace,
};

/// One fire of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fire {
    /// At a point of a grid, which is this process's own.
    OfGrid,
    /// At an instant of the calendar, which is the same for all replicas.
    At(SystemTime),
}

/// The rules for the fires of a schedule.
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) kind: HandlerKind,
    /// The schedule as it was written, for the log.
    pub(super) source: String,
    pub(super) timeout: Duration,
    pub(super) overlap: Overlap,
    pub(super) jitter: Duration,
    pub(super) failures: FailurePolicy,
    pub(super) retry: RetryPolicy,
    pub(super) once: Option<OnceLease>,
}

/// All fires of one schedule.
pub(super) struct Fires {
    rules: Rules,
    cx: Context,
    life: Arc<Life>,
    start: Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>,
    stats: Arc<HandlerStats>,
    load: Arc<FireLoad>,
    schedule: Arc<ScheduleStats>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    runs: usize,
    waiting: Option<Fire>,
}

/// The decision of the overlap policy about a fire.
enum Admission {
    Runs,
    Waits,
    LeftOut,
}

impl Fires {
    pub(super) fn new<A: MicroAgent>(
        agent: &Arc<A>,
        life: &Arc<Life>,
        call: Task<A>,
        rules: Rules,
        schedule: ScheduleStats,
    ) -> Arc<Self> {
        let (agent, cx) = (Arc::clone(agent), life.cx.clone());
        let site = HandlerSite {
            name: rules.name,
            kind: rules.kind,
            source: schedule.schedule.clone(),
            limit: (rules.overlap != Overlap::Allow).then_some(1),
        };
        let (stats, load) = (life.cx.stats(), Arc::<FireLoad>::default());
        Arc::new(Self {
            cx: life.cx.clone(),
            life: Arc::clone(life),
            start: Box::new(move || call(&agent, &cx)),
            stats: stats.handler(site, Arc::<FireLoad>::clone(&load)),
            load,
            schedule: stats.schedule(schedule),
            running: Mutex::default(),
            rules,
        })
    }

    pub(super) fn agent(&self) -> &str {
        self.cx.name()
    }

    pub(super) fn name(&self) -> &'static str {
        self.rules.name
    }

    pub(super) fn schedule(&self) -> &ScheduleStats {
        &self.schedule
    }

    /// Waits; false when the agent stops first.
    pub(super) async fn life_goes_on(&self, wait: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.cx.stopping().cancelled() => false,
            () = wait => true,
        }
    }

    /// Lets one fire have its run, beside whoever calls this.
    pub(super) fn fire(self: &Arc<Self>, fire: Fire) {
        self.fire_after(random_up_to(self.rules.jitter), fire);
    }

    fn fire_after(self: &Arc<Self>, delay: Duration, fire: Fire) {
        let fires = Arc::clone(self);
        self.life.tasks.spawn(async move {
            if fires.life_goes_on(sleep(delay)).await && fires.admit(fire) {
                fires.run(fire).await;
            }
        });
    }

    /// Returns true if it runs now.
    fn admit(&self, fire: Fire) -> bool {
        let admission = {
            let mut running = self.running();
            let admission = running.admit(fire, self.rules.overlap);
            self.load.count_received();
            self.load.note_waiting(running.waiting.iter().len());
            admission
        };
        if matches!(admission, Admission::LeftOut) {
            let text = "the last run is still going: a fire is left out";
            self.leave_out(LeftOut::Overlapping, text);
        }
        matches!(admission, Admission::Runs)
    }

    async fn run(self: &Arc<Self>, fire: Fire) {
        let mut fire = fire;
        loop {
            if self.run_with_retries(fire).await {
                self.keep_lease(fire).await;
            }
            match self.next() {
                Some(waiting) => fire = waiting,
                None => return,
            }
        }
    }

    /// Returns the fire that waited for the end of a run, unless the agent stops.
    fn next(&self) -> Option<Fire> {
        let mut running = self.running();
        self.load.note_waiting(0);
        running.next(self.cx.is_stopping())
    }

    /// False where it was not this replica's, or not to its end.
    async fn run_with_retries(self: &Arc<Self>, fire: Fire) -> bool {
        let rules = &self.rules;
        for attempt in 1.. {
            // Asked for before each run: between two of them the lease may have gone to another replica.
            if !self.has_lease(fire).await {
                return false;
            }
            let end = self.run_once().await;
            let again = outcome::again_after(&end, attempt, &rules.retry, &rules.failures);
            let Some(delay) = again else {
                return !matches!(end, End::Abandoned);
            };
            warn!(
                agent = self.agent(),
                handler = self.name(),
                attempt,
                ?delay,
                "handler failed; retrying"
            );
            self.stats.retried.count();
            if !self.life_goes_on(sleep(delay)).await {
                return false;
            }
        }
        false
    }

    /// Returns true if this replica is the one that runs.
    async fn has_lease(self: &Arc<Self>, fire: Fire) -> bool {
        let (Some(once), Fire::At(instant)) = (&self.rules.once, fire) else {
            return true;
        };
        let (agent, handler) = (self.agent(), self.name());
        match once.claim(instant).await {
            Claim::Ours => return true,
            Claim::Theirs { ask_again: None } => {
                self.schedule.left_out(LeftOut::OfOtherReplica);
                debug!(agent, handler, "another replica runs");
            }
            Claim::Theirs {
                ask_again: Some(left),
            } => {
                debug!(
                    agent,
                    handler,
                    ?left,
                    "another replica runs; whether it dies is seen later"
                );
                self.fire_after(left, fire);
            }
            Claim::Late => {
                self.leave_out(LeftOut::Late, "too late for its lease: a fire is left out");
            }
            Claim::Unknown { run: true, error } => {
                error!(agent, handler, %error, "no lease can be had: it runs, perhaps on other replicas too");
                return true;
            }
            Claim::Unknown { run: false, error } => {
                error!(agent, handler, %error, "no lease can be had: a fire is left out");
                self.schedule.left_out(LeftOut::WithoutLease);
                self.stats.dropped.count();
            }
        }
        false
    }

    async fn keep_lease(&self, fire: Fire) {
        if let (Some(once), Fire::At(instant)) = (&self.rules.once, fire)
            && let Err(error) = once.keep(instant).await
        {
            warn!(agent = self.agent(), handler = self.name(), %error, "the run is not on record: another replica may run too");
        }
    }

    async fn run_once(&self) -> End<()> {
        let began = Instant::now();
        let place = self.stats.place();
        place.begin(began);
        let span = self.trace();
        let end = match run::decoded(|| Ok((self.start)())) {
            Ok(future) => {
                let run = Run {
                    key: &format!("{}.{}", self.agent(), self.name()).into(),
                    caller: None,
                    began,
                    timeout: self.rules.timeout,
                    killed: &self.life.killed,
                    span: &span,
                    future,
                };
                run.finish().await
            }
            Err(end) => end.of(),
        };
        trace::end_run(&span, &end);
        drop(place);
        record(&end, &self.stats, began, || self.site());
        end
    }

    /// Returns the span of a run, if a subscriber wants spans.
    fn trace(&self) -> Span {
        if !trace::is_enabled() {
            return Span::none();
        }
        trace::run(self.agent(), self.name(), self.rules.kind.name())
    }

    fn leave_out(&self, reason: LeftOut, why: &str) {
        self.schedule.left_out(reason);
        self.stats.dropped.count();
        warn!(agent = self.agent(), handler = self.name(), "{why}");
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        lock(&self.running)
    }

    fn site(&self) -> Site<'_> {
        Site {
            agent: self.agent(),
            handler: self.name(),
            kind: self.rules.kind.name(),
            source: &self.rules.source,
            message: None,
        }
    }
}

impl Running {
    fn admit(&mut self, fire: Fire, overlap: Overlap) -> Admission {
        if self.runs == 0 || overlap == Overlap::Allow {
            self.runs += 1;
            return Admission::Runs;
        }
        if overlap == Overlap::Skip {
            return Admission::LeftOut;
        }
        // The newest waits: for a lease, an older one could be too late when its turn comes.
        match self.waiting.replace(fire) {
            Some(_) => Admission::LeftOut,
            None => Admission::Waits,
        }
    }

    /// A run ended: the fire that waited for it, unless the agent stops.
    fn next(&mut self, stopping: bool) -> Option<Fire> {
        let waiting = self.waiting.take().filter(|_| !stopping);
        if waiting.is_none() {
            self.runs -= 1;
        }
        waiting
    }
}

fn random_up_to(most: Duration) -> Duration {
    Duration::try_from_secs_f64(most.as_secs_f64() * fastrand::f64()).unwrap_or(most)
}
