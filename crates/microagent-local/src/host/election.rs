//! The election of the host of a folder. Everything in this process that uses the folder shares one election.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, OnceLock, Weak},
};

use microagent_core::{Result, driver::lock};
use tokio::sync::Mutex;

use super::{Folder, hub_thread::HubThread};
use crate::protocol::Token;

/// Decides whether this process hosts a folder. It does if it gets the lock of the folder, and hosts until its
/// last use of the folder ends.
#[derive(Debug)]
pub(crate) struct HostElection {
    folder: Folder,
    hub_thread: Mutex<Option<HubThread>>,
}

static ELECTIONS: StdMutex<Option<HashMap<PathBuf, Weak<HostElection>>>> = StdMutex::new(None);

/// Returns the token of this process, by which the hub recognises clients of its own process.
pub(crate) fn process() -> Token {
    static PROCESS: OnceLock<Token> = OnceLock::new();
    *PROCESS.get_or_init(|| fastrand::u128(..))
}

impl HostElection {
    /// Returns the election of this process for a folder.
    pub(crate) fn of(folder: Folder) -> Arc<Self> {
        let mut elections = lock(&ELECTIONS);
        let elections = elections.get_or_insert_default();
        if let Some(election) = elections.get(folder.path()).and_then(Weak::upgrade) {
            return election;
        }
        elections.retain(|_, election| election.strong_count() > 0);
        let path = folder.path().to_owned();
        let election = Arc::new(Self {
            folder,
            hub_thread: Mutex::default(),
        });
        elections.insert(path, Arc::downgrade(&election));
        election
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Hosts the folder if no process does. Afterwards the folder has a host; if that is another process, it
    /// may still be starting.
    ///
    /// # Errors
    /// An error with the folder or its files.
    pub(crate) async fn host_if_free(&self) -> Result<()> {
        let mut hub_thread = self.hub_thread.lock().await;
        if hub_thread
            .as_ref()
            .is_some_and(|hub_thread| !hub_thread.is_over())
        {
            return Ok(());
        }
        *hub_thread = None;
        if let Some(lock) = self.folder.lock()? {
            *hub_thread = Some(HubThread::open(&self.folder, lock).await?);
        }
        Ok(())
    }

    /// Ends one use of the election. After the last one this process stops hosting, and the folder is free when
    /// this returns.
    ///
    /// # Errors
    /// Returns an error if changes could not be written.
    pub(crate) async fn retire(self: Arc<Self>) -> Result<()> {
        let last = Arc::into_inner(self);
        match last.and_then(|last| last.hub_thread.into_inner()) {
            Some(hub_thread) => hub_thread.close().await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    async fn reachable(folder: &Folder) -> bool {
        UnixStream::connect(folder.socket()).await.is_ok()
    }

    #[tokio::test]
    async fn a_process_has_one_election_and_hosts_until_its_last_use() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(temp.path()).unwrap();
        let (one, two) = (
            HostElection::of(folder.clone()),
            HostElection::of(folder.clone()),
        );
        assert!(Arc::ptr_eq(&one, &two));
        one.host_if_free().await.unwrap();
        two.host_if_free().await.unwrap();
        one.retire().await.unwrap();
        assert!(reachable(&folder).await);
        two.retire().await.unwrap();
        assert!(!reachable(&folder).await);
        assert!(folder.lock().unwrap().is_some());
    }

    #[tokio::test]
    async fn while_another_hosts_it_stands_in_vain_and_takes_over_later() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(temp.path()).unwrap();
        let other = folder.lock().unwrap();
        let election = HostElection::of(folder.clone());
        election.host_if_free().await.unwrap();
        assert!(!reachable(&folder).await);
        drop(other);
        election.host_if_free().await.unwrap();
        assert!(reachable(&folder).await);
    }

    #[tokio::test]
    async fn problems_of_the_files_are_reported_and_release_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(temp.path()).unwrap();
        std::fs::write(
            folder.path().join("queues.sqlite"),
            "no database, but long enough",
        )
        .unwrap();
        let election = HostElection::of(folder.clone());
        let error = election.host_if_free().await.unwrap_err();
        assert!(error.to_string().contains("queues.sqlite"), "{error}");
        assert!(folder.lock().unwrap().is_some());
    }
}
