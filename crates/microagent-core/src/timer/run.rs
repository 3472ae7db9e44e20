//! From the entries of a blueprint to schedules that fire; what cannot be kept is refused.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    cron::CronSchedule,
    fires::{Fires, Rules},
    follow,
    lease_server::LeaseServer,
    once::OnceLease,
    periodic::Grid,
};
use crate::{
    Broker, Bus, Clock, CronOptions, Error, ErrorKind, MicroAgent, Result,
    agent::{Blueprint, CronEntry, Life, PeriodicEntry},
    clock::later,
    stats::ScheduleStats,
    status::HandlerKind,
};

/// Checks that the broker or the bus has the leases that cron tasks need, before anything of the agent has started.
///
/// # Errors
/// [`ErrorKind::Configuration`] for `once` without a bus and a broker, [`ErrorKind::Unsupported`] for `once` if neither
/// has leases.
pub(crate) fn check_leases_of<A: MicroAgent>(
    blueprint: &Blueprint<A>,
    bus: Option<&Bus>,
    broker: Option<&Broker>,
) -> Result<()> {
    let mut once = blueprint
        .cron
        .iter()
        .filter(|entry| entry.options.once.is_some());
    once.try_for_each(|entry| check_leases(entry.name, bus, broker))
}

fn check_leases(handler: &str, bus: Option<&Bus>, broker: Option<&Broker>) -> Result<()> {
    if LeaseServer::of(bus, broker).is_some() {
        return Ok(());
    }
    let servers = [
        broker.map(|broker| format!("`{broker}`")),
        bus.map(|bus| format!("`{}`", bus.driver().address())),
    ];
    let servers: Vec<_> = servers.into_iter().flatten().collect();
    if servers.is_empty() {
        let text = "`once` needs a broker or a bus, whose leases tell the replicas apart: start the agent with \
                    `.broker(…)` or `.bus(…)`";
        return Err(refused(handler, text));
    }
    let text = format!(
        "task `{handler}`: `once` needs leases, which are not supported by {}: leave `once` out, or use a broker or a \
         bus that has them, such as `redis://` or `local:`",
        servers.join(" and ")
    );
    Err(Error::new(ErrorKind::Unsupported, text))
}

fn schedule_of(handler: &str, options: &CronOptions) -> Result<CronSchedule> {
    let schedule = CronSchedule::new(&options.cron).and_then(|schedule| match &options.tz {
        Some(zone) => schedule.in_zone(zone),
        None => Ok(schedule),
    });
    schedule.map_err(|error| refused(handler, &error.to_string()))
}

fn refused(handler: &str, text: &str) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("task `{handler}`: {text}"),
    )
}

/// Lets the agent's periodic tasks fire until it stops.
pub(crate) fn run_periodic<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    entries: Vec<PeriodicEntry<A>>,
) {
    for entry in entries {
        let options = entry.options;
        let rules = Rules {
            name: entry.name,
            kind: HandlerKind::Periodic,
            source: String::new(),
            timeout: options.timeout,
            overlap: options.overlap,
            jitter: options.jitter,
            failures: (&options).into(),
            retry: options.retry,
            once: None,
        };
        let schedule = ScheduleStats::new(entry.name, format!("{:?}", options.period), None);
        let fires = Fires::new(agent, life, entry.call, rules, schedule);
        let grid = Grid::new(later(Instant::now(), options.start_after), options.period);
        life.tasks.spawn(follow::grid(fires, grid));
    }
}

/// Lets the agent's cron tasks fire until it stops.
///
/// # Errors
/// [`ErrorKind::Configuration`] for a text that is not a schedule or a zone; nothing has been started then.
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
        let once = lease_of::<A>(&entry, &schedule, life, clock);
        let options = entry.options;
        let zone = options.tz.as_deref().unwrap_or("UTC").to_owned();
        let stats = ScheduleStats::new(entry.name, options.cron.to_string(), Some(zone));
        let rules = Rules {
            name: entry.name,
            kind: HandlerKind::Cron,
            failures: (&options).into(),
            source: options.cron.into_owned(),
            timeout: options.timeout,
            overlap: options.overlap,
            jitter: options.jitter,
            retry: options.retry,
            once,
        };
        let fires = Fires::new(agent, life, entry.call, rules, stats);
        let clock = Arc::clone(clock);
        life.tasks.spawn(follow::clock(fires, schedule, clock));
    }
    Ok(())
}

fn lease_of<A: MicroAgent>(
    entry: &CronEntry<A>,
    schedule: &CronSchedule,
    life: &Life,
    clock: &Arc<dyn Clock>,
) -> Option<OnceLease> {
    let server = LeaseServer::of(life.bus.as_ref(), life.broker.as_ref());
    Some(OnceLease {
        policy: entry.options.once?,
        server: server?,
        schedule: schedule.clone(),
        clock: Arc::clone(clock),
        key: format!("{}.{}", A::NAME, entry.name),
        holder: format!("{:032x}", fastrand::u128(..)),
        jitter: entry.options.jitter,
        longest_run: entry.options.timeout.max(Duration::from_millis(1)),
    })
}
