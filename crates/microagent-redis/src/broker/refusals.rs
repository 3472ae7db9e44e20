//! Settlements that the server refuses: their messages return to the queue, after a pause that grows.

use std::{sync::Arc, time::Duration};

use microagent_core::{Error, ErrorKind, driver::Outage};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    keys::{Identity, KnownMessage},
    scripts,
    settle::PendingSettlement,
};
use crate::connection::Connector;

/// The first pause before a message whose settlement was refused returns to the queue. Each refusal that follows doubles it.
const SHORTEST: Duration = Duration::from_secs(5);

/// The longest of these pauses.
const LONGEST: Duration = Duration::from_secs(60);

/// The recent refusals of the server.
#[derive(Default)]
pub(super) struct Refusals {
    outage: Outage,
    last: Option<(Instant, Duration)>,
}

impl Refusals {
    /// Returns the messages of refused settlements to the queue after a pause.
    pub(super) fn put_back(
        &mut self,
        settlements: Vec<PendingSettlement>,
        connector: &Connector,
        error: &Error,
    ) {
        let pause = self.pause(Instant::now());
        if self.outage.is_news(error) {
            warn!(settlements = settlements.len(), %error, ?pause, "settlements refused; their messages will be delivered again");
        }
        let known: Vec<_> = settlements
            .into_iter()
            .map(|settlement| settlement.refuse(error))
            .collect();
        tokio::spawn(give_back(known, connector.clone(), pause));
    }

    /// Returns the pause: twice the last one if a message may have come back after it and be refused again.
    fn pause(&mut self, now: Instant) -> Duration {
        let pause = match self.last {
            // Refusals at the same time share their pause.
            Some((at, pause)) if now < at + pause => return pause,
            Some((at, pause)) if now < at + 3 * pause => (pause * 2).min(LONGEST),
            _ => {
                self.outage.end();
                SHORTEST
            }
        };
        self.last = Some((now, pause));
        pause
    }
}

/// Returns messages to the queue after a pause, and tries again until the server takes that. Until then the consumer knows
/// their ids, so that they do not count as messages of a lost reply.
async fn give_back(known: Vec<KnownMessage>, connector: Connector, mut pause: Duration) {
    let Some(first) = known.first() else { return };
    let (who, ids): (Arc<Identity>, Vec<u64>) = (
        Arc::clone(&first.identity),
        known.iter().map(|known| known.id).collect(),
    );
    let mut outage = Outage::default();
    loop {
        sleep(pause).await;
        let given = match connector.commands().await {
            Ok(mut connection) => scripts::give_back(&mut connection, &who, &ids).await,
            Err(error) => Err(error),
        };
        match given {
            Err(error) if error.kind() != ErrorKind::Closed => {
                if outage.is_news(&error) {
                    warn!(messages = ids.len(), %error, "cannot return messages to the queue; will keep retrying");
                }
            }
            _ => return,
        }
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_refusals_follow_each_other_and_begin_anew_after_a_while() {
        let mut refusals = Refusals::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = refusals.pause(now);
            assert_eq!(refusals.pause(now), pause, "at the same time");
            pauses.push(pause.as_secs());
            now += pause + Duration::from_millis(10);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(refusals.pause(now + 3 * LONGEST), SHORTEST);
    }
}
