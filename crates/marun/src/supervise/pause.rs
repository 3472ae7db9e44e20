//! Deadlines of a launcher that may itself be paused: suspended by SIGSTOP, frozen with its
//! container, or without CPU time. A deadline counts only if the launcher could notice the events
//! before it.

use std::time::{Duration, Instant};

use tokio::time::{timeout, timeout_at};

/// A deadline that is noticed later than this passed while the launcher itself was paused.
pub(crate) const LATE: Duration = Duration::from_secs(1);

/// The number of times in a row that the same time is granted again after a pause of the launcher.
/// Without this bound, a launcher whose timers are always late would wait indefinitely for a member
/// that hangs.
pub(crate) const MOST_GRANTS: u32 = 5;

/// The time in which the launcher handles pending events before it acts on a deadline.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Returns the instant `by` after `now`, or one in 30 years if the clock cannot count so far.
pub(super) fn later(now: Instant, by: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 366 * 24 * 3600);
    now.checked_add(by).unwrap_or_else(|| now + YEARS)
}

/// The time in which the launcher handles pending events before it acts on a deadline that has
/// passed.
pub(super) struct CatchUp {
    until: Instant,
    grants: u32,
}

impl CatchUp {
    pub(super) fn start(now: Instant) -> Self {
        Self {
            until: later(now, CATCH_UP),
            grants: 0,
        }
    }

    /// Returns the end of the time.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Returns whether the launcher may act on the deadline at `now`, when [`until`](Self::until)
    /// has passed. If the launcher was paused during this time, it begins again, at most
    /// [`MOST_GRANTS`] times.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let was_paused = now.saturating_duration_since(self.until) >= CATCH_UP;
        if !was_paused || self.grants == MOST_GRANTS {
            return true;
        }
        self.grants += 1;
        self.until = later(now, CATCH_UP);
        false
    }
}

/// Waits for the future up to `limit`, as [`timeout`] does. The time in which the launcher itself
/// was paused does not count.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::pin!(future);
    if let Ok(output) = timeout(limit, &mut future).await {
        return Some(output);
    }
    // The event may have happened while this process was paused, and the future is not yet woken.
    let mut catch_up = CatchUp::start(Instant::now());
    loop {
        if let Ok(output) = timeout_at(catch_up.until().into(), &mut future).await {
            return Some(output);
        }
        if catch_up.is_over(Instant::now()) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, thread};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_time_in_which_the_process_was_paused_does_not_count() {
        let (sender, receiver) = oneshot::channel();
        let (first, second) = oneshot::channel();
        tokio::spawn(async move {
            second.await.unwrap();
            // The wait can notice the event only after its own pause.
            tokio::task::yield_now().await;
            sender.send(7).unwrap();
        });
        tokio::spawn(async move {
            thread::sleep(Duration::from_millis(50));
            first.send(()).unwrap();
        });
        let output = within(Duration::from_millis(10), receiver).await;
        assert_eq!(output, Some(Ok(7)));
    }

    #[tokio::test]
    async fn an_event_that_does_not_happen_is_awaited_only_until_the_limit() {
        let start = Instant::now();
        assert_eq!(
            within(Duration::from_millis(10), pending::<()>()).await,
            None
        );
        assert!(start.elapsed() >= CATCH_UP);
    }

    #[tokio::test]
    async fn a_launcher_whose_timers_are_always_late_does_not_wait_indefinitely() {
        let mut polls = 0;
        let never = std::future::poll_fn(|_| {
            polls += 1;
            assert!(polls < 50, "it still waits");
            thread::sleep(3 * CATCH_UP);
            std::task::Poll::<()>::Pending
        });
        assert_eq!(within(Duration::from_millis(10), never).await, None);
    }

    #[test]
    fn a_catch_up_begins_again_after_each_pause_of_the_launcher_up_to_a_bound() {
        let mut now = Instant::now();
        let mut catch_up = CatchUp::start(now);
        assert!(catch_up.is_over(catch_up.until()), "no pause");
        for _ in 0..MOST_GRANTS {
            now = catch_up.until() + CATCH_UP;
            assert!(!catch_up.is_over(now));
            assert_eq!(catch_up.until(), now + CATCH_UP);
        }
        assert!(catch_up.is_over(catch_up.until() + CATCH_UP));
    }

    #[test]
    fn no_time_is_too_long() {
        let now = Instant::now();
        assert!(later(now, Duration::MAX) > now + Duration::from_secs(1));
    }
}
