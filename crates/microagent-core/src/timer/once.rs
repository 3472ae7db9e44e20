//! Which of several replicas runs at an instant: a lease, named by the instant.
//!
//! A replica asks only about the last instant before its own time, so a lease that is kept until the following instant
//! has passed on the slowest clock is never taken twice.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Instant, sleep, timeout_at};

use super::{cron::CronSchedule, lease_server::LeaseServer};
use crate::{Clock, Error, ErrorKind, Lease, Once, Result, WhenUnknown};

/// By how much a replica's clock may be wrong, in either direction.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// The longest time for the answer of the server, all requests included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between a failed request and the next one.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The duration of a lease if the schedule has no next instant.
const LAST_INSTANT: Duration = Duration::from_secs(24 * 3600);

/// The leases of one schedule on one replica.
pub(super) struct OnceLease {
    pub(super) policy: Once,
    pub(super) server: LeaseServer,
    pub(super) schedule: CronSchedule,
    pub(super) clock: Arc<dyn Clock>,
    /// The name of the schedule, the same for all replicas.
    pub(super) key: String,
    /// The name of this replica; a restarted process is another replica.
    pub(super) holder: String,
    pub(super) jitter: Duration,
    pub(super) longest_run: Duration,
}

/// The owner of an instant.
pub(super) enum Claim {
    Ours,
    /// Another replica's; it may be worth asking again after this long, when that one may have died.
    Theirs {
        ask_again: Option<Duration>,
    },
    /// So much time has passed that a lease would have ended: the owner is no longer known.
    Late,
    /// The server does not answer; `run` says whether to run.
    Unknown {
        run: bool,
        error: Error,
    },
}

impl OnceLease {
    pub(super) async fn claim(&self, instant: SystemTime) -> Claim {
        let Some(left) = self.left(instant) else {
            return Claim::Late;
        };
        // Of a replica that may be followed by another the lease ends, but not before its run must have ended, which
        // starts within the time that asking may take.
        let ttl = match self.policy.crashed {
            WhenUnknown::Skip => left + 2 * SKEW,
            WhenUnknown::Run => self.longest_run.saturating_add(PATIENCE),
        };
        match self.ask(instant, ttl).await {
            Ok(Lease::Granted) => Claim::Ours,
            Ok(Lease::Held { left: held }) => Claim::Theirs {
                ask_again: (self.policy.crashed == WhenUnknown::Run && held < left).then_some(held),
            },
            Err(error) => Claim::Unknown {
                run: self.policy.unavailable == WhenUnknown::Run,
                error,
            },
        }
    }

    /// Has it on record that the instant had its run.
    pub(super) async fn keep(&self, instant: SystemTime) -> Result<()> {
        match (self.policy.crashed, self.left(instant)) {
            (WhenUnknown::Run, Some(left)) => self.ask(instant, left + 2 * SKEW).await.map(drop),
            _ => Ok(()),
        }
    }

    /// For how long by its own clock this replica may still ask about the instant; None when that is over.
    fn left(&self, instant: SystemTime) -> Option<Duration> {
        let following = self.schedule.next(instant);
        let over = following.unwrap_or(instant + LAST_INSTANT) + self.jitter;
        let left = over.duration_since(self.clock.now()).ok()?;
        (!left.is_zero()).then_some(left)
    }

    /// Asks until there is an answer, for as long as the lease of a run allows for: [`PATIENCE`].
    async fn ask(&self, instant: SystemTime, ttl: Duration) -> Result<Lease> {
        let since_epoch = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
        let key = format!("{}@{}", self.key, since_epoch.as_secs());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let began = Instant::now();
            let asking = self.server.lease(&key, &self.holder, ttl);
            let error = match timeout_at(deadline, asking).await {
                Ok(Ok(lease)) => return Ok(lease),
                Ok(Err(error)) => error,
                Err(_) => {
                    let text = format!(
                        "{} did not answer a request for a lease within {PATIENCE:?}",
                        self.server
                    );
                    return Err(Error::new(ErrorKind::Timeout, text));
                }
            };
            let heals = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Driver);
            if !heals || Instant::now() + ASK_AGAIN >= deadline {
                return Err(error);
            }
            sleep(ASK_AGAIN.saturating_sub(began.elapsed())).await;
        }
    }
}
