//! The front of a store: batches of changes go in, and each is answered when it is durable.
//!
//! It does not order queues and drops nothing: what was handed over is written in the order of the calls, and whoever hands
//! over more than the disk takes must wait for answers now and then.

use std::{
    fmt, io,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use microagent_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::{Body, Change, MessageId, Store};

mod disk;
mod group;
mod thread_loop;

use disk::Disk;
use thread_loop::Job;

/// Hands changes to a store: to one on a thread of its own, which is where waiting for a disk belongs, or to one in place.
///
/// Dropped without [`close`](Self::close) it still writes what was handed over, as long as the process lives.
pub(crate) struct Writer(WriterMode);

enum WriterMode {
    Thread {
        jobs: Sender<Job>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
    Inline(Mutex<Option<Box<dyn Store>>>),
}

impl Writer {
    /// A writer that puts whatever waits into one commit, on its own thread, and makes it durable on another.
    ///
    /// # Errors
    /// When the system has no thread left, or the store cannot be made durable.
    pub(crate) fn spawn(store: impl Store) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let disk = Disk::spawn(store.sync()?).map_err(no_thread)?;
        let thread = thread::Builder::new()
            .name("local-store".to_owned())
            .spawn(move || thread_loop::run(store, disk, &waiting))
            .map_err(no_thread)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self(WriterMode::Thread { jobs, thread }))
    }

    /// A writer that commits before the call returns: for stores that do not wait, where time is virtual and would run
    /// ahead of a thread.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests in virtual time"))]
    pub(crate) fn inline(store: impl Store) -> Self {
        Self(WriterMode::Inline(Mutex::new(Some(Box::new(store)))))
    }

    /// Hands the changes over at once, whether or not the result is awaited: all of them are durable when it resolves, or none
    /// is and it is an error. Changes of earlier calls are carried out earlier.
    pub(crate) fn commit(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        match &self.0 {
            WriterMode::Thread { jobs, .. } => {
                // After close nobody receives; dropping `done` says so.
                let _ = jobs.send(Job::Commit { changes, done });
            }
            WriterMode::Inline(store) => answer_inline(store, done, |store| store.commit(&changes)),
        }
        answered(answer)
    }

    /// The bodies of these messages in this order, without those that are not stored. It sees what is confirmed; what is
    /// handed over but not confirmed it may or may not see.
    pub(crate) fn bodies(
        &self,
        ids: Vec<MessageId>,
    ) -> impl Future<Output = Result<Vec<(MessageId, Body)>>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        match &self.0 {
            WriterMode::Thread { jobs, .. } => {
                let _ = jobs.send(Job::Bodies { ids, done });
            }
            WriterMode::Inline(store) => answer_inline(store, done, |store| store.bodies(&ids)),
        }
        answered(answer)
    }

    /// Returns when everything that was handed over is written and answered, and the store is closed. Calling it twice
    /// is harmless.
    ///
    /// # Errors
    /// When the thread panicked; what was not confirmed may not be stored.
    pub(crate) async fn close(&self) -> Result<()> {
        match &self.0 {
            WriterMode::Inline(store) => {
                store.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(())
            }
            WriterMode::Thread { jobs, thread } => {
                let (done, end) = oneshot::channel();
                let _ = jobs.send(Job::Close { done });
                // An error as well means that the thread has ended.
                let _ = end.await;
                join(thread)
            }
        }
    }
}

fn answer_inline<T>(
    store: &Mutex<Option<Box<dyn Store>>>,
    done: oneshot::Sender<Result<T>>,
    call: impl FnOnce(&mut dyn Store) -> Result<T>,
) {
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = store.as_deref_mut() {
        let _ = done.send(call(store));
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    answer.await.unwrap_or_else(|_| Err(closed()))
}

/// Called when the thread has no work left but to return.
fn join(thread: &Mutex<Option<JoinHandle<()>>>) -> Result<()> {
    let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    match thread.map(JoinHandle::join) {
        Some(Err(_)) => Err(panicked()),
        Some(Ok(())) | None => Ok(()),
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the store is closed; the change was not confirmed",
    )
}

fn panicked() -> Error {
    Error::new(
        ErrorKind::Driver,
        "the thread of the store panicked; what it had not confirmed may not be stored",
    )
}

fn no_thread(error: io::Error) -> Error {
    let text =
        format!("no thread for the store: {error}; the user's limit of processes may be reached");
    Error::new(ErrorKind::Driver, text).with_source(error)
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match &self.0 {
            WriterMode::Thread { .. } => "thread",
            WriterMode::Inline(_) => "inline",
        };
        f.debug_tuple("Writer").field(&how).finish()
    }
}
