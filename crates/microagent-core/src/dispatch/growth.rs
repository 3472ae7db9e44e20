//! The warning about a queue that grows steadily, because its consumers do not keep up.
//!
//! A consumer that has work asks for the length of its queue once a minute. A consumer without work asks nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use tracing::warn;

use super::consume::BoundConsumer;
use crate::{Broker, ErrorKind, Queue};

/// The pause between two looks at the queue.
const PERIOD: Duration = Duration::from_secs(60);

/// After so many looks in a row that found more messages than the one before, the queue grows steadily.
const STEADY: u32 = 5;

/// The number of deliveries that are being handled.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    running: AtomicUsize,
    began: Notify,
}

impl Activity {
    /// Counts a delivery until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.began.notify_one();
        Running(Arc::clone(self))
    }

    /// Waits until a delivery has been taken since the last call, or is being handled.
    async fn wait(&self) {
        if self.running.load(Ordering::Relaxed) == 0 {
            self.began.notified().await;
        }
    }
}

/// A delivery that is being handled.
#[derive(Debug)]
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Warns once if the queue of a consumer grows steadily, and again only after it has shrunk. Returns if the broker cannot tell
/// the length of a queue; otherwise it has to be dropped.
pub(crate) async fn watch(consumer: &BoundConsumer, broker: &Broker) {
    let Ok(queue) = Queue::named(consumer.queue.clone()) else {
        return;
    };
    let mut growth = Growth::default();
    loop {
        consumer.activity.wait().await;
        sleep(PERIOD).await;
        match broker.length(&queue).await {
            Ok(length) => {
                if let Some(grown_by) = growth.add(length) {
                    warn!(
                        agent = consumer.cx.name(), handler = consumer.name, queue = consumer.queue, length, grown_by,
                        within = ?(PERIOD * STEADY),
                        "queue grows steadily; run more replicas, raise `concurrency`, or make the handler faster"
                    );
                }
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => return,
            // The driver logs that it is disconnected.
            Err(_) => growth.forget(),
        }
    }
}

/// The lengths of a queue, as far as they tell whether it grows.
#[derive(Debug, Default)]
struct Growth {
    last: Option<u64>,
    /// The length before it began to grow.
    first: u64,
    grown: u32,
    is_told: bool,
}

impl Growth {
    /// Notes a length. Returns by how much the queue has grown if it is time to warn.
    fn add(&mut self, length: u64) -> Option<u64> {
        let last = self.last.replace(length)?;
        if length <= last {
            self.grown = 0;
            self.is_told &= length == last;
            return None;
        }
        if self.grown == 0 {
            self.first = last;
        }
        self.grown += 1;
        if self.grown < STEADY || self.is_told {
            return None;
        }
        self.is_told = true;
        Some(length - self.first)
    }

    /// Begins anew, because a length is missing.
    fn forget(&mut self) {
        (self.last, self.grown) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The indices of the lengths that are warned of, with the growth.
    fn warnings(lengths: &[u64]) -> Vec<(usize, u64)> {
        let mut growth = Growth::default();
        let lengths = lengths.iter().enumerate();
        lengths
            .filter_map(|(index, length)| Some((index, growth.add(*length)?)))
            .collect()
    }

    #[test]
    fn five_rises_in_a_row_are_warned_of_once_until_the_queue_shrinks() {
        assert_eq!(warnings(&[7, 8, 9, 10, 11]), []);
        assert_eq!(warnings(&[7, 8, 9, 10, 11, 12]), [(5, 5)]);
        assert_eq!(warnings(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), [(5, 5)]);
        // It stands still, and then grows on.
        assert_eq!(warnings(&[0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]), [(5, 5)]);
        // It shrinks, and grows again.
        let again = [0, 1, 2, 3, 4, 50, 20, 21, 22, 23, 24, 30];
        assert_eq!(warnings(&again), [(5, 50), (11, 10)]);
        assert_eq!(warnings(&[9, 10, 9, 11, 12, 13, 14, 13]), []);
    }
}
