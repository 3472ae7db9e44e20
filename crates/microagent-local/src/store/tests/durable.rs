//! Confirmed changes are on the disk: the writer's second thread, with a disk that the test controls.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
};

use futures_util::FutureExt;
use microagent_core::{Error, ErrorKind, Result};

use super::*;
use crate::store::{Snapshot, SyncHandle, Writer};

/// A store on a disk that takes as long as the test wants.
struct SlowStore {
    store: MemoryStore,
    committed: Sender<usize>,
    syncing: Sender<()>,
    turns: Mutex<Option<Receiver<Result<()>>>>,
}

/// The test's ends of it.
struct SlowWriter {
    writer: Writer,
    committed: Receiver<usize>,
    syncing: Receiver<()>,
    turns: Sender<Result<()>>,
}

impl SlowWriter {
    fn new() -> Self {
        let (committing, committed) = mpsc::channel();
        let (enters, syncing) = mpsc::channel();
        let (turns, turned) = mpsc::channel();
        let store = SlowStore {
            store: MemoryStore::default(),
            committed: committing,
            syncing: enters,
            turns: Some(turned).into(),
        };
        Self {
            writer: Writer::spawn(store).unwrap(),
            committed,
            syncing,
            turns,
        }
    }
}

impl Store for SlowStore {
    fn load(&mut self) -> Result<Snapshot> {
        self.store.load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        self.store.commit(changes)?;
        self.committed.send(changes.len()).unwrap();
        Ok(())
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        self.store.bodies(ids)
    }

    fn sync(&self) -> Result<SyncHandle> {
        let turns = self.turns.lock().unwrap().take().unwrap();
        let syncing = self.syncing.clone();
        let turns = Mutex::new(turns);
        Ok(Arc::new(move || {
            syncing.send(()).unwrap();
            turns.lock().unwrap().recv().unwrap()
        }))
    }
}

#[tokio::test]
async fn nothing_is_confirmed_before_the_disk_has_it() {
    let turned = SlowWriter::new();
    let mut first = pin!(turned.writer.commit(vec![insert(1, "q")]));
    turned.syncing.recv().unwrap();
    assert!(first.as_mut().now_or_never().is_none());
    turned.turns.send(Ok(())).unwrap();
    first.await.unwrap();
}

#[tokio::test]
async fn one_group_is_written_while_the_one_before_waits_for_the_disk() {
    let turned = SlowWriter::new();
    drop(turned.writer.commit(vec![insert(1, "q")]));
    turned.syncing.recv().unwrap();
    let mut waiting = Vec::new();
    waiting.push(turned.writer.commit(vec![insert(2, "q")]));
    assert_eq!(turned.committed.recv().unwrap(), 1);
    assert_eq!(
        turned.committed.recv().unwrap(),
        1,
        "while the disk is busy"
    );
    // A third group waits for the disk, and grows.
    waiting.extend((3..=9).map(|id| turned.writer.commit(vec![insert(id, "q")])));
    for _ in 1..=3 {
        turned.turns.send(Ok(())).unwrap();
    }
    for confirmed in waiting {
        confirmed.await.unwrap();
    }
    assert_eq!(turned.committed.recv().unwrap(), 7, "all that waited");
}

#[tokio::test]
async fn waiting_writers_get_the_disk_failure_and_the_next_may_succeed() {
    let turned = SlowWriter::new();
    let broken = Error::new(ErrorKind::Driver, "the cable is out");
    turned.turns.send(Err(broken)).unwrap();
    turned.turns.send(Ok(())).unwrap();
    let error = turned.writer.commit(vec![insert(1, "q")]).await;
    assert_eq!(error.unwrap_err().to_string(), "the cable is out");
    turned.writer.commit(vec![insert(2, "q")]).await.unwrap();
}

#[tokio::test]
async fn a_batch_without_changes_needs_no_disk_and_keeps_its_turn() {
    let turned = SlowWriter::new();
    turned.writer.commit(vec![]).await.unwrap();
    assert!(turned.syncing.try_recv().is_err());

    drop(turned.writer.commit(vec![insert(1, "q")]));
    turned.syncing.recv().unwrap();
    let mut second = pin!(turned.writer.commit(vec![]));
    assert!(second.as_mut().now_or_never().is_none());
    turned.turns.send(Ok(())).unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn close_waits_for_the_disk() {
    let turned = SlowWriter::new();
    let confirmed = turned.writer.commit(vec![insert(1, "q")]);
    turned.syncing.recv().unwrap();
    let mut closed = pin!(turned.writer.close());
    assert!(closed.as_mut().now_or_never().is_none());
    turned.turns.send(Ok(())).unwrap();
    closed.await.unwrap();
    confirmed.await.unwrap();
}

/// A store that tells on which thread its disk is waited for.
struct ObservedStore {
    store: MemoryStore,
    disk_takes: Arc<Mutex<Duration>>,
    threads: Sender<String>,
}

impl Store for ObservedStore {
    fn load(&mut self) -> Result<Snapshot> {
        self.store.load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        self.store.commit(changes)
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        self.store.bodies(ids)
    }

    fn sync(&self) -> Result<SyncHandle> {
        let (takes, threads) = (self.disk_takes.clone(), self.threads.clone());
        Ok(Arc::new(move || {
            let name = std::thread::current().name().unwrap().to_owned();
            threads.send(name).unwrap();
            std::thread::sleep(*takes.lock().unwrap());
            Ok(())
        }))
    }
}

#[tokio::test]
async fn a_quick_disk_is_waited_for_in_place_and_a_slow_one_on_its_thread() {
    let (telling, threads) = mpsc::channel();
    let disk_takes = Arc::new(Mutex::new(Duration::ZERO));
    let store = ObservedStore {
        store: MemoryStore::default(),
        disk_takes: disk_takes.clone(),
        threads: telling,
    };
    let writer = Writer::spawn(store).unwrap();
    let mut ids = 1..;
    let mut waited_on = async || {
        let id = ids.next().unwrap();
        writer.commit(vec![insert(id, "q")]).await.unwrap();
        threads.recv().unwrap()
    };
    // On a busy machine even nothing may take long.
    while waited_on().await != "local-store" {}

    *disk_takes.lock().unwrap() = Duration::from_millis(5);
    waited_on().await;
    assert_eq!(waited_on().await, "local-disk");
}
