//! Runs that are quick: they end at their first poll, and soon (ADR 0023).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

/// A run that takes longer keeps its thread long enough to be worth a task of its own.
const QUICK: Duration = Duration::from_micros(100);

/// Returns true if a run was quick. `at_once` says that it has ended at its first poll.
pub(super) fn is_quick(at_once: bool, began: Instant, ended: Instant) -> bool {
    at_once && ended.saturating_duration_since(began) < QUICK
}

pin_project! {
    /// A run that calls `waits` if it does not end at its first poll. Its output says if it did.
    pub(super) struct Attended<F, W> {
        #[pin]
        run: F,
        waits: Option<W>,
    }
}

/// Makes an [`Attended`] of a run.
pub(super) fn attended<F: Future, W: FnOnce()>(run: F, waits: W) -> Attended<F, W> {
    Attended {
        run,
        waits: Some(waits),
    }
}

impl<F: Future, W: FnOnce()> Future for Attended<F, W> {
    type Output = (F::Output, bool);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.run.poll(cx);
        if polled.is_pending()
            && let Some(waits) = this.waits.take()
        {
            waits();
        }
        polled.map(|output| (output, this.waits.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_that_waits_is_noticed_at_its_first_poll() {
        let mut noticed = 0;
        assert_eq!(attended(async { 1 }, || noticed += 1).await, (1, true));
        let waits = attended(tokio::task::yield_now(), || noticed += 1);
        assert_eq!(waits.await, ((), false));
        assert_eq!(noticed, 1);
    }
}
