//! The loops that wait until a schedule fires: along a grid, or along the wall clock.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::{
    cron::CronSchedule,
    fires::{Fire, Fires},
    periodic::Grid,
};
use crate::{Clock, stats::FireTime};

/// The wall clock may step; a cron loop looks at it at least this often.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// A clock that goes back by more than this is a clock that was wrong before: the schedule follows it. If it goes
/// back by less, the instants that it shows again have fired already.
const CORRECTION: Duration = Duration::from_secs(3 * 3600);

/// A clock that goes back by more than this was not only adjusted; that nothing fires then is said.
const ADJUSTMENT: Duration = Duration::from_secs(5);

/// Fires at each point of the grid until the agent stops. Points that were missed fire once together.
pub(super) async fn grid(fires: Arc<Fires>, grid: Grid) {
    let mut due = grid.first();
    fires.schedule().waits_for(Some(FireTime::On(due)));
    while fires.life_goes_on(sleep_until(due)).await {
        let now = Instant::now();
        let delay = now.saturating_duration_since(due);
        fires.schedule().fired(FireTime::On(due), delay);
        fires.fire(Fire::OfGrid);
        due = grid.next_after(now);
        fires.schedule().waits_for(Some(FireTime::On(due)));
    }
}

/// Fires at each instant of the schedule until the agent stops. An instant fires once, whatever the clock does;
/// instants that were slept through fire once together, as the last of them.
pub(super) async fn clock(fires: Arc<Fires>, schedule: CronSchedule, clock: Arc<dyn Clock>) {
    let mut after = clock.now();
    while let Some(due) = schedule.next(after) {
        fires.schedule().waits_for(Some(FireTime::At(due)));
        match wait(&fires, due, after, &*clock).await {
            Waited::UntilDue(now) => {
                let last = schedule.last_until(due, now);
                if last != due {
                    let behind = now.duration_since(due).unwrap_or_default();
                    info!(
                        agent = fires.agent(),
                        handler = fires.name(),
                        ?behind,
                        "the clock went past several fires: they are one"
                    );
                }
                let delay = now.duration_since(last).unwrap_or_default();
                fires.schedule().fired(FireTime::At(last), delay);
                fires.fire(Fire::At(last));
                after = now;
            }
            Waited::ClockSetBack(now) => {
                warn!(
                    agent = fires.agent(),
                    handler = fires.name(),
                    "the clock was set back by hours: the schedule follows it"
                );
                // It may have been set as long ago as it was looked at last.
                after = now - LOOK_AT_CLOCK;
            }
            Waited::UntilStop => return,
        }
    }
    fires.schedule().waits_for(None);
    warn!(
        agent = fires.agent(),
        handler = fires.name(),
        "the schedule never fires again"
    );
}

enum Waited {
    /// It is due; the time now, which is not before it.
    UntilDue(SystemTime),
    ClockSetBack(SystemTime),
    UntilStop,
}

async fn wait(fires: &Fires, due: SystemTime, after: SystemTime, clock: &dyn Clock) -> Waited {
    let mut reported = false;
    loop {
        let now = clock.now();
        if now >= due {
            return Waited::UntilDue(now);
        }
        let back = after.duration_since(now).unwrap_or_default();
        if back > CORRECTION {
            return Waited::ClockSetBack(now);
        }
        if back > ADJUSTMENT && !std::mem::replace(&mut reported, true) {
            warn!(
                agent = fires.agent(),
                handler = fires.name(),
                ?back,
                "the clock was set back: nothing fires until it shows what it showed before"
            );
        }
        let left = due.duration_since(now).unwrap_or_default();
        if !fires.life_goes_on(sleep(left.min(LOOK_AT_CLOCK))).await {
            return Waited::UntilStop;
        }
    }
}
