//! A stream that delays and reorders items.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::stream::{BoxStream, Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};

use super::simulated_run::SharedRun;

/// The items of another stream, each at the time that the faults decide.
pub(super) struct FaultyStream<T> {
    run: SharedRun,
    inner: BoxStream<'static, T>,
    held: BinaryHeap<Reverse<Held<T>>>,
    timer: Pin<Box<Sleep>>,
    /// The earliest time of the next item that keeps its order.
    in_order_from: Instant,
    taken: u64,
    ended: bool,
}

struct Held<T> {
    until: Instant,
    number: u64,
    item: T,
}

impl<T> FaultyStream<T> {
    pub(super) fn new(run: &SharedRun, inner: BoxStream<'static, T>) -> Self {
        let now = Instant::now();
        Self {
            run: SharedRun::clone(run),
            inner,
            held: BinaryHeap::new(),
            timer: Box::pin(sleep_until(now)),
            in_order_from: now,
            taken: 0,
            ended: false,
        }
    }

    fn take_in(&mut self, item: T) {
        self.taken += 1;
        let until = self.time_of_next();
        self.held.push(Reverse(Held {
            until,
            number: self.taken,
            item,
        }));
    }

    /// Returns the time at which the item that was just taken is yielded.
    fn time_of_next(&mut self) -> Instant {
        let (run, now) = (&self.run, Instant::now());
        if run.happens(|faults| faults.reorder) {
            let hold = run.faults().map(|faults| faults.longest_hold);
            return now + run.up_to(hold.unwrap_or_default());
        }
        let late = if run.happens(|faults| faults.delay) {
            run.faults().map(|faults| faults.longest_delay)
        } else {
            None
        };
        let from = now + run.up_to(late.unwrap_or_default());
        self.in_order_from = self.in_order_from.max(from);
        self.in_order_from
    }
}

impl<T: Unpin> Stream for FaultyStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        while !this.ended {
            match this.inner.poll_next_unpin(cx) {
                Poll::Ready(Some(item)) => this.take_in(item),
                Poll::Ready(None) => this.ended = true,
                Poll::Pending => break,
            }
        }
        let Some(Reverse(first)) = this.held.peek() else {
            return if this.ended {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        let until = first.until;
        if until > Instant::now() {
            this.timer.as_mut().reset(until);
            std::task::ready!(this.timer.as_mut().poll(cx));
        }
        Poll::Ready(this.held.pop().map(|Reverse(held)| held.item))
    }
}

impl<T> PartialEq for Held<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.until, self.number) == (other.until, other.number)
    }
}

impl<T> Eq for Held<T> {}

impl<T> PartialOrd for Held<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Held<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.until, self.number).cmp(&(other.until, other.number))
    }
}
