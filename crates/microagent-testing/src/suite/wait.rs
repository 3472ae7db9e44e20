//! Waiting for expected events with a limit, and for a short time for events that must not happen.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// The time for which a clause checks that an event does not happen.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

/// The pause between two checks of a condition that no event reports.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// The time within which an expected event must happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventLimit(pub(crate) Duration);

impl EventLimit {
    /// Waits for an event, and fails the clause if it does not happen within the limit.
    pub(crate) async fn wait<T>(self, what: &str, event: impl Future<Output = T>) -> T {
        match timeout(self.0, event).await {
            Ok(event) => event,
            Err(_) => panic!("{what} did not happen within {:?}", self.0),
        }
    }
}

/// Checks a value until it is the expected one, if no event reports it (a server may count late), and fails the
/// clause if it does not become that.
pub(crate) async fn eventually<T: PartialEq + std::fmt::Debug, Asking>(
    limit: EventLimit,
    what: &str,
    expected: T,
    mut ask: impl FnMut() -> Asking,
) where
    Asking: Future<Output = T>,
{
    let deadline = Instant::now() + limit.0;
    loop {
        let answer = ask().await;
        if answer == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what} is {answer:?} and does not become {expected:?}"
        );
        sleep(ASK_AGAIN).await;
    }
}
