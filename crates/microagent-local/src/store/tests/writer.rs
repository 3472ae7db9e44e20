//! The writer: what waits goes together, what is bad fails alone, what is closed is written.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{self, Receiver, Sender},
};

use futures_util::future::join_all;
use microagent_core::{ErrorKind, Result};

use super::*;
use crate::store::{Snapshot, Writer};

/// Counts commits, and makes the first of them wait until the test lets it go.
struct GatedStore {
    store: MemoryStore,
    commits: Arc<AtomicUsize>,
    entered: Sender<()>,
    gate: Option<Receiver<()>>,
}

/// A writer whose thread stands in its first commit, so that the test decides what waits.
struct BlockedWriter {
    writer: Writer,
    commits: Arc<AtomicUsize>,
    gate: Sender<()>,
}

impl BlockedWriter {
    fn new() -> Self {
        let ((entered, entering), (gate, passing)) = (mpsc::channel(), mpsc::channel());
        let commits = Arc::new(AtomicUsize::new(0));
        let store = GatedStore {
            store: MemoryStore::default(),
            commits: commits.clone(),
            entered,
            gate: Some(passing),
        };
        let writer = Writer::spawn(store).unwrap();
        drop(writer.commit(vec![insert(1, "first")]));
        entering.recv().unwrap();
        Self {
            writer,
            commits,
            gate,
        }
    }

    fn release(&self) {
        self.gate.send(()).unwrap();
    }

    fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Store for GatedStore {
    fn load(&mut self) -> Result<Snapshot> {
        self.store.load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        if let Some(gate) = self.gate.take() {
            self.entered.send(()).unwrap();
            gate.recv().unwrap();
        }
        self.store.commit(changes)
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        self.store.bodies(ids)
    }
}

#[tokio::test]
async fn everything_that_waits_is_one_commit() {
    let busy = BlockedWriter::new();
    let waiting: Vec<_> = (2..=257)
        .map(|id| busy.writer.commit(vec![insert(id, "q")]))
        .collect();
    busy.release();
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert_eq!(
        busy.commits(),
        2,
        "the first alone, then the 256 that waited meanwhile"
    );
}

#[tokio::test]
async fn a_commit_is_bounded_by_bytes() {
    let busy = BlockedWriter::new();
    let large = |id| Change::Insert {
        id,
        queue: "q".into(),
        body: Body {
            payload: vec![0; 3 * 1024 * 1024].into(),
            ..body("")
        },
        due: None,
    };
    let waiting: Vec<_> = (2..=7)
        .map(|id| busy.writer.commit(vec![large(id)]))
        .collect();
    busy.release();
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert_eq!(busy.commits(), 3, "after the first two groups of three");
}

#[tokio::test]
async fn a_bad_batch_fails_alone_and_cheaply() {
    let busy = BlockedWriter::new();
    let batch = |id| {
        if id == 100 {
            vec![insert(1000, "q"), insert(1, "again")]
        } else {
            vec![insert(id, "q")]
        }
    };
    let waiting: Vec<_> = (2..=257).map(|id| busy.writer.commit(batch(id))).collect();
    busy.release();
    let results = join_all(waiting).await;
    let failed: Vec<_> = results
        .iter()
        .enumerate()
        .filter_map(|(at, result)| Some((at, result.as_ref().err()?)))
        .collect();
    let [(98, error)] = failed[..] else {
        panic!("{failed:?}")
    };
    assert!(
        error.to_string().contains("message 1 is stored already"),
        "{error}"
    );
    assert!(
        busy.commits() <= 2 + 2 * 8,
        "{} commits to find one of 256",
        busy.commits()
    );
    assert_eq!(
        busy.writer.bodies(vec![1000, 99, 101]).await.unwrap(),
        [(99, body("99")), (101, body("101"))]
    );
}

#[tokio::test]
async fn batches_are_carried_out_in_the_order_of_the_calls() {
    let busy = BlockedWriter::new();
    drop(busy.writer.commit(vec![insert(2, "q")]));
    let moved = Change::Move {
        id: 2,
        to: 3,
        queue: "p".into(),
        headers: Rewrite::Revive,
    };
    drop(busy.writer.commit(vec![moved]));
    drop(busy.writer.commit(vec![]));
    let last = busy
        .writer
        .commit(vec![Change::Remove { id: 3 }, insert(4, "q")]);
    busy.release();
    last.await.unwrap();
    let bodies = busy.writer.bodies(vec![2, 3, 4]).await.unwrap();
    assert_eq!(bodies, [(4, body("4"))]);
}

#[tokio::test]
async fn close_writes_what_was_handed_over_and_frees_the_file() {
    let folder = Folder::new();
    let writer = Writer::spawn(folder.open()).unwrap();
    for id in 1..=100 {
        drop(writer.commit(vec![insert(id, "q")]));
    }
    writer.close().await.unwrap();
    assert_eq!(ids(&mut folder.open()), (1..=100).collect::<Vec<_>>());

    let error = writer.commit(vec![insert(101, "q")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(
        writer.bodies(vec![1]).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    writer.close().await.unwrap();
}

#[tokio::test]
async fn bodies_are_read_beside_the_commits() {
    let folder = Folder::new();
    let writer = Writer::spawn(folder.open()).unwrap();
    writer
        .commit(vec![insert(1, "q"), insert(2, "q")])
        .await
        .unwrap();
    let bodies = writer.bodies(vec![2, 7, 1]).await.unwrap();
    assert_eq!(bodies, [(2, body("2")), (1, body("1"))]);
    writer.close().await.unwrap();
}

/// A store that says when it rests.
struct IdleObserver(std::sync::mpsc::Sender<()>);

impl Store for IdleObserver {
    fn load(&mut self) -> Result<Snapshot> {
        unreachable!()
    }

    fn commit(&mut self, _: &[Change]) -> Result<()> {
        Ok(())
    }

    fn bodies(&mut self, _: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        unreachable!()
    }

    fn rest(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[tokio::test]
async fn a_store_rests_once_when_nothing_is_asked() {
    let (rests, rested) = std::sync::mpsc::channel();
    let writer = Writer::spawn(IdleObserver(rests)).unwrap();
    writer.commit(vec![insert(1, "q")]).await.unwrap();
    assert!(rested.try_recv().is_err(), "not while there is work");
    rested.recv_timeout(Duration::from_secs(30)).unwrap();
    writer.commit(vec![insert(2, "q")]).await.unwrap();
    writer.close().await.unwrap();
    assert!(rested.try_recv().is_err());
}

/// A store with a bug.
struct PanickingStore;

impl Store for PanickingStore {
    fn load(&mut self) -> Result<Snapshot> {
        unreachable!()
    }

    fn commit(&mut self, _: &[Change]) -> Result<()> {
        panic!("as the test wants it")
    }

    fn bodies(&mut self, _: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        unreachable!()
    }
}

#[tokio::test]
async fn a_panic_of_the_store_is_told_and_confirms_nothing() {
    let writer = Writer::spawn(PanickingStore).unwrap();
    writer.commit(vec![insert(1, "q")]).await.unwrap_err();
    let error = writer.close().await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn inline_nothing_waits_and_no_time_passes() {
    let writer = Writer::inline(MemoryStore::default());
    let began = tokio::time::Instant::now();
    let confirmed = writer.commit(vec![insert(1, "q")]);
    // Handed over is already stored, before anything was awaited.
    let bodies = tokio::time::timeout(Duration::from_nanos(1), writer.bodies(vec![1])).await;
    assert_eq!(bodies.unwrap().unwrap(), [(1, body("1"))]);
    confirmed.await.unwrap();
    writer.commit(vec![insert(1, "q")]).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
    writer.close().await.unwrap();
    assert_eq!(
        writer.commit(vec![]).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}
