//! Members of a group that come and go.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use microagent_core::{Queue, QueueBroker, Settlement};
use tokio::{
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::support::{
    connect, shared,
    steps::{LIMIT, body, consume, declare, length_becomes, queue, send},
};

/// A consumer with a connection of its own. It leaves when it is told to.
struct Member {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Member {
    /// Handles messages, and reports the key and the body of each.
    async fn join(dsn: String, queue: Queue, handled: UnboundedSender<(String, String)>) -> Self {
        let broker = connect(&dsn).await.unwrap();
        let mut stream = consume(&broker, &queue, 8).await;
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            loop {
                let delivery = tokio::select! {
                    _ = &mut stopped => break,
                    delivery = stream.next() => delivery.expect("an open stream"),
                };
                let key = delivery.message().key().unwrap().to_owned();
                handled.send((key, body(&delivery))).unwrap();
                sleep(Duration::from_millis(2)).await;
                drop(delivery.settle(Settlement::Ack));
            }
            broker.close().await.unwrap();
        });
        Self { stop, task }
    }

    fn leave(self) -> JoinHandle<()> {
        let _ = self.stop.send(());
        self.task
    }
}

/// The number of the next message of each key, which is its body.
#[derive(Default)]
struct Progress {
    next: BTreeMap<String, usize>,
    repeated: usize,
}

impl Progress {
    fn take(&mut self, (key, body): (String, String)) {
        let n: usize = body.parse().unwrap();
        let next = self.next.entry(key.clone()).or_default();
        assert!(n <= *next, "{key}: {n} came before {next}");
        self.repeated += usize::from(n < *next);
        *next = (*next).max(n + 1);
    }

    fn finished(&self, each: usize) -> usize {
        self.next.values().filter(|next| **next == each).count()
    }
}

/// Line 42 of the failure contract, smaller.
pub(crate) async fn members_that_come_and_go_lose_nothing_and_keep_the_order_of_keys() {
    const KEYS: usize = 40;
    const EACH: usize = 25;
    let server = shared().await.unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    let queue = queue("restless");
    declare(&broker, &queue, 6).await;
    for n in 0..EACH {
        let sending =
            (0..KEYS).map(|key| send(&broker, &queue, n.to_string(), Some(format!("key {key}"))));
        futures_util::future::join_all(sending).await;
    }
    let (handled, mut received) = unbounded_channel();
    let join = || Member::join(server.dsn(), queue.clone(), handled.clone());
    let (mut members, mut left) = (vec![join().await], Vec::new());
    let mut progress = Progress::default();
    let (mut changes, deadline) = (0, Instant::now() + LIMIT);
    while progress.finished(EACH) < KEYS {
        assert!(Instant::now() < deadline, "{:?}", progress.next);
        if changes < 8 {
            changes += 1;
            if members.len() == 1 || members.len() < 3 && fastrand::bool() {
                members.push(join().await);
            } else {
                let member = members.swap_remove(fastrand::usize(..members.len()));
                left.push(member.leave());
            }
        }
        let pause = sleep(Duration::from_millis(500));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                Some(handled) = received.recv() => progress.take(handled),
            }
        }
    }
    left.extend(members.into_iter().map(Member::leave));
    for member in left {
        member.await.unwrap();
    }
    length_becomes(&broker, &queue, 0).await;
}
