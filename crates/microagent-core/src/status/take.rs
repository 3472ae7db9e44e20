//! The status of an agent, put together from its counters, its connections and the phase of its life.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{
    AgentState, BlockingHandler, CallStatus, ConnectionStatus, Durations, GapStatus, HandlerStatus,
    LastError, QueueStatus, RequestStatus, STATUS_VERSION, ScheduleStatus, SkippedFires, Status,
    depths::QueueDepth,
    health::{Life, Phase},
};
use crate::{
    Context, RunningHandler,
    driver::ConnectionState,
    running_handlers,
    stats::{DurationCounts, FireTime, HandlerStats, LeftOut, RequestCounts, ScheduleStats},
};

/// A handler that has kept its thread for this long is listed.
const KEEPS_THREAD: Duration = Duration::from_secs(1);

/// The greatest number of runs whose begins are listed.
const MOST_RUNS: usize = 10;

/// The time of the status, on both clocks.
#[derive(Clone, Copy)]
struct Now {
    wall: SystemTime,
    instant: Instant,
}

impl Now {
    /// Returns the wall-clock time of an instant.
    fn time_of(self, instant: Instant) -> SystemTime {
        let ago = self.instant.saturating_duration_since(instant);
        let ahead = instant.saturating_duration_since(self.instant);
        let time = self.wall.checked_sub(ago);
        time.and_then(|time| time.checked_add(ahead))
            .unwrap_or(self.wall)
    }

    fn time_of_fire(self, fire: FireTime) -> SystemTime {
        match fire {
            FireTime::On(instant) => self.time_of(instant),
            FireTime::At(time) => time,
        }
    }
}

/// Returns the status of an agent now.
pub(super) fn status(cx: &Context) -> Status {
    let health = cx.health();
    let now = Now {
        wall: health.clock.now(),
        instant: Instant::now(),
    };
    let (bus, broker) = (cx.own_bus(), cx.own_broker());
    let bus_state = bus.and_then(crate::Bus::connection);
    let broker_state = broker.and_then(crate::Broker::connection);
    let (state, since, reason) =
        state_of(&health.life(), bus_state.as_ref(), broker_state.as_ref());
    let (waiting, late_answers) = bus.map_or((0, 0), crate::Bus::call_counts);
    let gaps = cx.stats().gaps();
    Status {
        version: STATUS_VERSION,
        agent: cx.name().to_owned(),
        agent_type: health.agent_type.to_owned(),
        state,
        since: now.time_of(since),
        reason,
        at: now.wall,
        started: now.time_of(health.started),
        uptime: now.instant.saturating_duration_since(health.started),
        pid: std::process::id(),
        agent_version: health.agent_version.to_owned(),
        microagent_version: env!("CARGO_PKG_VERSION").to_owned(),
        bus: bus.map(|bus| connection(bus.to_string(), bus_state, now)),
        broker: broker.map(|broker| connection(broker.to_string(), broker_state, now)),
        gaps: GapStatus {
            count: gaps.count,
            total: gaps.total,
            last: gaps.last.map(|last| now.time_of(last)),
        },
        strays: bus.map_or(0, crate::Bus::strays),
        calls: CallStatus {
            waiting: number(waiting),
            late_answers,
            ended: bus.map(|bus| requests(bus.requests())).unwrap_or_default(),
        },
        signals_sent: bus.map(|bus| requests(bus.sends())).unwrap_or_default(),
        messages_sent: broker
            .map(|broker| requests(broker.sends()))
            .unwrap_or_default(),
        handlers: each(&cx.stats().handlers(), |stats| handler(stats, now)),
        queues: each(&health.depths.all(), |depth| queue(depth, now)),
        schedules: each(&cx.stats().schedules(), |stats| schedule(stats, now)),
        blocking: each(&running_handlers(), |running| blocking(running, now))
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// Makes the status that of an agent whose runtime did not come round to a request.
pub(super) fn mark_blocked(status: &mut Status, waited: Duration) {
    let names: Vec<_> = status
        .blocking
        .iter()
        .map(|run| run.name.as_str())
        .collect();
    let culprit = if names.is_empty() {
        "no handler keeps a thread, so a task that the agent spawned may block it".to_owned()
    } else {
        format!("blocked by {}", names.join(", "))
    };
    let asked = status.at.checked_sub(waited).unwrap_or(status.at);
    status.since = status.blocking.first().map_or(asked, |run| run.since);
    status.reason = Some(format!(
        "its runtime did not run a task for {waited:.1?}: {culprit}"
    ));
    status.state = AgentState::Blocked;
}

fn state_of(
    life: &Life,
    bus: Option<&ConnectionState>,
    broker: Option<&ConnectionState>,
) -> (AgentState, Instant, Option<String>) {
    let failure = || life.failure.clone();
    match life.phase {
        Phase::Starting => (AgentState::Starting, life.since, failure()),
        Phase::Draining => (AgentState::Draining, life.since, failure()),
        Phase::Stopped => (AgentState::Stopped, life.since, failure()),
        Phase::Live => {
            let is_down = |state: &&ConnectionState| !state.up;
            let down = |state: AgentState, connection: &ConnectionState| {
                let since = connection.since.max(life.since);
                (state, since, connection.last_error.clone())
            };
            if let Some(bus) = bus.filter(is_down) {
                return down(AgentState::NoBus, bus);
            }
            if let Some(broker) = broker.filter(is_down) {
                return down(AgentState::NoBroker, broker);
            }
            let connected = [bus, broker].into_iter().flatten();
            let since = connected.map(|connection| connection.since).max();
            let since = since.map_or(life.since, |since| since.max(life.since));
            (AgentState::Ready, since, None)
        }
    }
}

fn connection(address: String, state: Option<ConnectionState>, now: Now) -> ConnectionStatus {
    let known = state.as_ref();
    ConnectionStatus {
        address,
        up: known.map(|state| state.up),
        since: known.map(|state| now.time_of(state.since)),
        reconnects: known.map_or(0, |state| state.reconnects),
        last_error: state.and_then(|state| state.last_error),
    }
}

fn handler(stats: &HandlerStats, now: Now) -> HandlerStatus {
    let (site, running) = (&stats.site, stats.running());
    let oldest = running.iter().take(MOST_RUNS);
    let (counts, sum) = stats.durations();
    let (received, waiting) = stats.load.received_and_waiting();
    HandlerStatus {
        name: site.name.to_owned(),
        kind: site.kind,
        source: site.source.clone(),
        received,
        done: stats.done(),
        failed: stats.failed.get(),
        timed_out: stats.timed_out.get(),
        panicked: stats.panicked.get(),
        undecodable: stats.undecodable.get(),
        dropped: stats.dropped.get(),
        retried: stats.retried.get(),
        dead_lettered: stats.dead_lettered.get(),
        returned: stats.returned.get(),
        redelivered: stats.redelivered.get(),
        running: number(running.len()),
        running_since: oldest.map(|began| now.time_of(*began)).collect(),
        waiting,
        limit: site.limit.map(number),
        durations: Durations { counts, sum },
        last_success: stats.last_success().map(|ended| now.time_of(ended)),
        last_error: stats.last_error().map(|(at, text)| LastError {
            at: now.time_of(at),
            text,
        }),
    }
}

fn durations(counts: &DurationCounts) -> Durations {
    Durations {
        counts: counts.counts().to_vec(),
        sum: counts.sum(),
    }
}

fn requests(counts: &RequestCounts) -> RequestStatus {
    RequestStatus {
        done: counts.done.get(),
        timed_out: counts.timed_out.get(),
        failed: counts.failed.get(),
        durations: durations(&counts.durations),
    }
}

fn queue(queue: &QueueDepth, now: Now) -> QueueStatus {
    let last = queue.last();
    let dead_letters = queue.dead_letters.as_ref();
    QueueStatus {
        name: queue.queue.name().to_owned(),
        depth: last.depth,
        dead_letter_queue: dead_letters.map(|queue| queue.name().to_owned()),
        dead: last.dead,
        at: last.at.map(|at| now.time_of(at)),
        error: last.error,
    }
}

fn schedule(stats: &ScheduleStats, now: Now) -> ScheduleStatus {
    let timing = stats.timing();
    ScheduleStatus {
        handler: stats.handler.to_owned(),
        schedule: stats.schedule.clone(),
        zone: stats.zone.clone(),
        next: timing.next.map(|fire| now.time_of_fire(fire)),
        last: timing.last.map(|fire| now.time_of_fire(fire)),
        delay: timing.delay,
        skipped: SkippedFires {
            overlapping: stats.count_of(LeftOut::Overlapping),
            late: stats.count_of(LeftOut::Late),
            without_lease: stats.count_of(LeftOut::WithoutLease),
            of_other_replicas: stats.count_of(LeftOut::OfOtherReplica),
        },
    }
}

fn blocking(running: &RunningHandler, now: Now) -> Option<BlockingHandler> {
    (running.since >= KEEPS_THREAD).then(|| BlockingHandler {
        name: running.name.clone(),
        since: now.wall.checked_sub(running.since).unwrap_or(now.wall),
    })
}

fn each<T, U>(items: &[T], one: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(one).collect()
}

fn number(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::ConnectionRecord;

    fn life(phase: Phase, since: Instant) -> Life {
        Life {
            phase,
            since,
            failure: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_agent_without_a_connection_is_not_ready() {
        let began = Instant::now();
        let (bus, broker) = (ConnectionRecord::always_up(), ConnectionRecord::always_up());
        let state = |phase| {
            let (bus, broker) = (bus.state(), broker.state());
            let (state, since, reason) = state_of(&life(phase, began), Some(&bus), Some(&broker));
            (state, (since - began).as_secs(), reason)
        };
        assert_eq!(state(Phase::Live), (AgentState::Ready, 0, None));
        tokio::time::advance(Duration::from_secs(5)).await;
        broker.down("reset");
        let no_broker = (AgentState::NoBroker, 5, Some("reset".to_owned()));
        assert_eq!(state(Phase::Live), no_broker);
        tokio::time::advance(Duration::from_secs(5)).await;
        bus.down("refused");
        let no_bus = (AgentState::NoBus, 10, Some("refused".to_owned()));
        assert_eq!(state(Phase::Live), no_bus);
        assert_eq!(state(Phase::Draining).0, AgentState::Draining);
        tokio::time::advance(Duration::from_secs(5)).await;
        bus.up();
        broker.up();
        assert_eq!(state(Phase::Live), (AgentState::Ready, 15, None));
    }
}
