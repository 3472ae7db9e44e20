//! Waiting for what must happen, with a deadline, and looking a moment long for what must not.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// How long a clause looks for what must not happen.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

/// How often a clause asks for what no event tells.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// How long a server may take for what must happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventLimit(pub(crate) Duration);

impl EventLimit {
    /// Waits for an event, and fails the clause when it does not come.
    pub(crate) async fn wait<T>(self, what: &str, event: impl Future<Output = T>) -> T {
        match timeout(self.0, event).await {
            Ok(event) => event,
            Err(_) => panic!("{what}: nothing within {:?}", self.0),
        }
    }
}

/// Asks until the answer is the expected one, for what no event tells (a server may count a moment late), and fails the
/// clause when it never is.
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
