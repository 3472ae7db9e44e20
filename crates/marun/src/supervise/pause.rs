//! Deadlines of a launcher that may itself stand still for a while: suspended by SIGSTOP, frozen with its container, starved. A
//! deadline counts only if the launcher could notice what was to happen before it. It decides nothing about members.

use std::time::{Duration, Instant};

use tokio::time::timeout;

/// A deadline that is noticed later than this passed while the launcher itself did not run.
pub(super) const LATE: Duration = Duration::from_secs(1);

/// How long the launcher handles what waits before it acts on a deadline.
pub(super) const CATCH_UP: Duration = Duration::from_millis(100);

/// Returns the instant that is so much later, or one that nobody lives to see if the clock cannot count so far.
pub(super) fn later(now: Instant, by: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 366 * 24 * 3600);
    now.checked_add(by).unwrap_or_else(|| now + YEARS)
}

/// Waits for the future up to `limit`, as [`timeout`] does; the time in which the launcher itself stood still does not count.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::pin!(future);
    let mut limit = limit;
    loop {
        let deadline = later(Instant::now(), limit);
        if let Ok(output) = timeout(limit, &mut future).await {
            return Some(output);
        }
        // What was to happen may have happened while this process stood still, and nobody has told the future yet.
        if limit == CATCH_UP && deadline.elapsed() < CATCH_UP {
            return None;
        }
        limit = CATCH_UP;
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, thread};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_pause_of_the_process_is_no_time_that_others_had() {
        let (sender, receiver) = oneshot::channel();
        let (first, second) = oneshot::channel();
        tokio::spawn(async move {
            second.await.unwrap();
            // What happens late can be noticed only now.
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
    async fn what_does_not_happen_is_given_up() {
        let asked = Instant::now();
        assert_eq!(
            within(Duration::from_millis(10), pending::<()>()).await,
            None
        );
        assert!(asked.elapsed() >= CATCH_UP);
    }

    #[test]
    fn no_time_is_too_long() {
        let now = Instant::now();
        assert!(later(now, Duration::MAX) > now + Duration::from_secs(1));
    }
}
