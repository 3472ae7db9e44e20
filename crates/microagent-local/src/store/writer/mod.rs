//! The interface of a store: batches of changes go in, and each is answered when it is durable.
//!
//! The writer keeps the order of the calls and drops nothing. A caller that hands over more than the disk can
//! write must wait for answers from time to time.

use std::{
    fmt, io,
    sync::{
        Mutex,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use microagent_core::{Error, ErrorKind, Result, driver::lock};
use tokio::sync::oneshot;

use super::{Body, Change, MessageId, Store};

mod disk;
mod group;
mod thread_loop;

use disk::Disk;
use thread_loop::Job;

/// Hands changes to a store: to one on a thread of its own, where waiting for a disk belongs, or to one in
/// place.
///
/// If it is dropped without [`close`](Self::close), it still writes everything that was handed over while the
/// process lives.
pub(crate) struct Writer(WriterMode);

enum WriterMode {
    Thread {
        jobs: Sender<Job>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
    Inline(Mutex<Option<Box<dyn Store>>>),
}

impl Writer {
    /// Returns a writer that puts everything that waits into one commit, on its own thread, and makes it
    /// durable on another.
    ///
    /// # Errors
    /// Returns an error if no thread can be started, or if the store cannot be made durable.
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

    /// Returns a writer that commits before the call returns: for stores that do not wait, in tests where time
    /// is virtual and would run ahead of a thread.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests in virtual time"))]
    pub(crate) fn inline(store: impl Store) -> Self {
        Self(WriterMode::Inline(Mutex::new(Some(Box::new(store)))))
    }

    /// Hands the changes over at once, whether or not the result is awaited. When it resolves all of them are
    /// durable, or none and it is an error. Changes of earlier calls are applied earlier.
    pub(crate) fn commit(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        match &self.0 {
            WriterMode::Thread { jobs, .. } => {
                // After `close` there is no receiver; dropping `done` reports that.
                let _ = jobs.send(Job::Commit { changes, done });
            }
            WriterMode::Inline(store) => answer_inline(store, done, |store| store.commit(&changes)),
        }
        answered(answer)
    }

    /// Returns the bodies of these messages in this order, without those that are not stored. It includes
    /// confirmed changes, and may include changes that are handed over and not confirmed.
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

    /// Returns when everything that was handed over is written and answered, and the store is closed. Calling
    /// it twice is harmless.
    ///
    /// # Errors
    /// Returns an error if the thread panicked. Changes that were not confirmed may not be stored.
    pub(crate) async fn close(&self) -> Result<()> {
        match &self.0 {
            WriterMode::Inline(store) => {
                lock(store).take();
                Ok(())
            }
            WriterMode::Thread { jobs, thread } => {
                let (done, end) = oneshot::channel();
                let _ = jobs.send(Job::Close { done });
                // An error means that the thread has ended, too.
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
    let mut store = lock(store);
    if let Some(store) = store.as_deref_mut() {
        let _ = done.send(call(store));
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    answer.await.unwrap_or_else(|_| Err(closed()))
}

/// Joins the thread. Called when it has nothing left to do.
fn join(thread: &Mutex<Option<JoinHandle<()>>>) -> Result<()> {
    let thread = lock(thread).take();
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
    let text = format!(
        "cannot start a thread for the store: {error}; the user's limit of processes may be reached"
    );
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
