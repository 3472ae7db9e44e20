//! The group of a simulation, for the test.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use microagent_core::{
    Agent, Broker, Bus, Error, ErrorKind, MemoryBroker, MemoryBus, MicroAgent, Result, driver::lock,
};
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    member::{Deployment, Member, RunningMember},
    simulated_run::{SharedRun, SimulatedRun},
};
use crate::VirtualClock;

/// The pause between two checks of a condition that no event reports.
const CHECK_PAUSE: Duration = Duration::from_millis(10);

/// Agents on one bus and one broker, each as if in a process of its own. Clones are one group.
#[derive(Clone)]
pub struct Group(Arc<GroupState>);

struct GroupState {
    run: SharedRun,
    deployment: Deployment,
    bus: Bus,
    broker: Broker,
    members: Mutex<Vec<Member>>,
    /// The number of members that crashed and are not running again.
    down: watch::Sender<usize>,
    /// The reason why a member did not start again.
    failure: watch::Sender<Option<String>>,
}

impl Group {
    pub(super) fn new(run: &SharedRun, deployment: &Deployment) -> Result<Self> {
        let (bus, broker) = (
            MemoryBus::open(&deployment.server),
            MemoryBroker::open(&deployment.server),
        );
        let state = Arc::new(GroupState {
            run: SharedRun::clone(run),
            deployment: deployment.clone(),
            bus: Bus::with_options(Arc::new(bus), deployment.bus.clone())?,
            broker: Broker::with_options(Arc::new(broker), deployment.broker.clone()),
            members: Mutex::default(),
            down: watch::Sender::new(0),
            failure: watch::Sender::new(None),
        });
        tokio::spawn(crash_at_random(
            Arc::downgrade(&state),
            SharedRun::clone(run),
        ));
        Ok(Self(state))
    }

    /// Starts a member. `make` builds its agent, again after each crash; the group sets its name, its bus, its broker and
    /// its clock. The test keeps data that must outlive a crash, in an `Arc` that `make` clones.
    ///
    /// # Errors
    /// The error of the agent's start, and [`ErrorKind::Configuration`] if the group has a member of this name.
    pub async fn start<A: MicroAgent>(
        &self,
        name: &str,
        make: impl Fn() -> Agent<A> + Send + Sync + 'static,
    ) -> Result<()> {
        if self.0.members().iter().any(|member| member.name == name) {
            let text = format!("duplicate member `{name}` of the group");
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        let mut member = Member::new(&self.0.run, &self.0.deployment, name, make);
        member.running = Some((member.start)().await?);
        self.0.run.note(format_args!("{name} is live"));
        self.0.members().push(member);
        Ok(())
    }

    /// Stops a member, which drains. Returns false if no member of this name is running.
    ///
    /// # Errors
    /// The error with which a server of the agent failed.
    pub async fn stop(&self, name: &str) -> Result<bool> {
        let Some(running) = self.0.take(name) else {
            return Ok(false);
        };
        self.0.run.note(format_args!("{name} stops"));
        running.agent.stop().await?;
        Ok(true)
    }

    /// Crashes a member, which is started again later. Returns false if no member of this name is running.
    pub fn crash(&self, name: &str) -> bool {
        crash(&self.0, name)
    }

    /// Ends the faults, and waits until all members are running.
    ///
    /// # Panics
    /// If one of them does not start again.
    pub async fn end_faults(&self) {
        self.0.run.end_faults();
        let mut down = self.0.down.subscribe();
        let mut failure = self.0.failure.subscribe();
        tokio::select! {
            biased;
            failed = failure.wait_for(Option::is_some) => {
                let failed = failed.ok().and_then(|failed| (*failed).clone());
                panic!("{}", failed.unwrap_or_default());
            }
            // This group owns the sender, so the channel is open.
            _ = down.wait_for(|down| *down == 0) => {}
        }
    }

    /// Waits until a condition is true. `what` names it in the panic.
    ///
    /// # Panics
    /// If it is not true within the time.
    pub async fn eventually(&self, what: &str, within: Duration, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + within;
        while !holds() {
            assert!(
                Instant::now() < deadline,
                "not true within {within:?}: {what}"
            );
            sleep(CHECK_PAUSE).await;
        }
    }

    /// Returns a bus without faults, for the test itself.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// Returns a broker without faults, for the test itself.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.0.broker
    }

    /// Returns the wall clock without an error.
    #[must_use]
    pub fn clock(&self) -> VirtualClock {
        self.0.run.clock
    }

    /// Returns the seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.run.seed
    }

    /// Returns [`RunningAgent::info`](microagent_core::RunningAgent::info) of a running member.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<Value> {
        let members = self.0.members();
        let member = members.iter().find(|member| member.name == name)?;
        Some(member.running.as_ref()?.agent.info())
    }

    /// Adds a line to the record, which the report of a failure shows.
    pub fn note(&self, what: impl fmt::Display) {
        self.0.run.note(what);
    }

    /// Returns the record: the injected faults and the lines of [`note`](Self::note), each with the seconds since the start.
    #[must_use]
    pub fn record(&self) -> Vec<String> {
        self.0.run.record()
    }
}

impl GroupState {
    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        lock(&self.members)
    }

    fn take(&self, name: &str) -> Option<RunningMember> {
        let mut members = self.members();
        let member = members.iter_mut().find(|member| member.name == name)?;
        member.running.take()
    }

    fn running_names(&self) -> Vec<String> {
        let members = self.members();
        let running = members.iter().filter(|member| member.running.is_some());
        running.map(|member| member.name.clone()).collect()
    }
}

fn crash(group: &Arc<GroupState>, name: &str) -> bool {
    let Some(running) = group.take(name) else {
        return false;
    };
    running.crash();
    group.down.send_modify(|down| *down += 1);
    let longest = group.run.faults().map(|faults| faults.restart_within);
    let back = group.run.up_to(longest.unwrap_or_default());
    group.run.note(format_args!("{name} is killed"));
    tokio::spawn(restart_later(Arc::downgrade(group), name.to_owned(), back));
    true
}

async fn restart_later(group: Weak<GroupState>, name: String, after: Duration) {
    sleep(after).await;
    let start = group.upgrade().and_then(|group| {
        let members = group.members();
        let member = members.iter().find(|member| member.name == name)?;
        Some(Arc::clone(&member.start))
    });
    let Some(start) = start else {
        return;
    };
    let started = start().await;
    let Some(group) = group.upgrade() else {
        return;
    };
    match started {
        Ok(running) => {
            let mut members = group.members();
            if let Some(member) = members.iter_mut().find(|member| member.name == name) {
                member.running = Some(running);
            }
            group.run.note(format_args!("{name} is back"));
        }
        Err(error) => {
            let text = format!("{name} did not start again after a crash: {error}");
            group.run.note(&text);
            group.failure.send_replace(Some(text));
        }
    }
    group.down.send_modify(|down| *down -= 1);
}

async fn crash_at_random(group: Weak<GroupState>, run: Arc<SimulatedRun>) {
    loop {
        let Some(average) = run.faults().and_then(|faults| faults.crash_every) else {
            return;
        };
        sleep(run.up_to(2 * average).max(Duration::from_millis(1))).await;
        let Some(group) = group.upgrade().filter(|_| run.faults().is_some()) else {
            return;
        };
        let running = group.running_names();
        if !running.is_empty() {
            crash(&group, &running[run.one_of(running.len())]);
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("run", &self.0.run)
            .field("running", &self.0.running_names())
            .finish_non_exhaustive()
    }
}
