//! The thread that runs the hub of this process, with everything that a host owns.
//!
//! The hub has a thread of its own because a handler that blocks its runtime must not block the hub for all
//! other processes.

use std::{io, sync::Arc, thread};

use microagent_core::{Error, ErrorKind, Result};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};
use tracing::info;

use super::{
    Folder,
    acceptor::Acceptor,
    election::process,
    folder::{Lock, check_owner},
};
use crate::{
    clocks::SystemClocks,
    hub::Hub,
    store::{SqliteStore, Store, Writer},
};

/// A hub that runs in this process. Dropping this ends the hub without waiting for it.
#[derive(Debug)]
pub(super) struct HubThread {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<()>>,
}

impl HubThread {
    /// Opens the files and starts the hub. Clients can reach it when this returns.
    ///
    /// # Errors
    /// An error with the files.
    pub(super) async fn open(folder: &Folder, lock: Lock) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let folder = folder.clone();
        let body = move || {
            let result = host(&folder, stopped, ready);
            // Released before the result is sent: a client that learns of the end may host at once.
            drop(lock);
            let _ = ending.send(result);
        };
        thread::Builder::new()
            .name("local-hub".to_owned())
            .spawn(body)
            .map_err(|error| failed("cannot start a thread for the hub", error))?;
        match started.await {
            Ok(()) => Ok(Self { stop, ended }),
            Err(_) => Err(ended
                .await
                .unwrap_or_else(|_| Ok(()))
                .err()
                .unwrap_or_else(panicked)),
        }
    }

    /// Returns true if the hub has ended by itself.
    pub(super) fn is_over(&self) -> bool {
        !self.ended.is_empty() || self.ended.is_terminated()
    }

    /// Closes the hub and waits until the folder is free. Waits a limited time for other processes to settle
    /// the messages that they have in flight.
    ///
    /// # Errors
    /// Returns an error if changes could not be written.
    pub(super) async fn close(self) -> Result<()> {
        // If sending fails the hub has ended, which `ended` reports.
        let _ = self.stop.send(());
        self.ended.await.unwrap_or_else(|_| Err(panicked()))
    }
}

/// Runs a hub from the lock of its folder to its release.
fn host(folder: &Folder, stopped: oneshot::Receiver<()>, ready: oneshot::Sender<()>) -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("cannot start a runtime for the hub", error))?;
    let mut store = SqliteStore::open(&folder.database())?;
    check_owner(&folder.database())?;
    let snapshot = store.load()?;
    let messages = snapshot.messages.len();
    let hosted = runtime.block_on(async {
        let mut acceptor = Acceptor::open(folder)?;
        let hub = Hub::start(
            Writer::spawn(store)?,
            snapshot,
            process(),
            Arc::new(SystemClocks),
        );
        info!(folder = %folder.path().display(), messages, "this process hosts the hub");
        let _ = ready.send(());
        tokio::select! {
            () = acceptor.accept_peers(&hub) => {}
            () = hub.ended() => {}
            () = drained(stopped, &hub) => {}
        }
        drop(acceptor);
        hub.close().await
    });
    end(runtime);
    info!(folder = %folder.path().display(), "this process no longer hosts the hub");
    hosted
}

/// Waits until the hub must end, and then until its clients have settled what they have in flight.
async fn drained(stopped: oneshot::Receiver<()>, hub: &Hub) {
    // An error means that the election is gone.
    let _ = stopped.await;
    hub.drain().await;
}

/// Ends the connections that did not end in time.
fn end(runtime: Runtime) {
    runtime.shutdown_background();
}

fn failed(what: &str, error: io::Error) -> Error {
    let text = format!("{what}: {error}");
    Error::new(ErrorKind::Driver, text).with_source(error)
}

fn panicked() -> Error {
    Error::new(ErrorKind::Driver, "the thread of the hub panicked")
}
