//! This process's chance to host a folder: one for all that use it here.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError, Weak},
};

use microagent_core::Result;
use tokio::sync::Mutex;

use super::{Folder, office::Office};
use crate::protocol::Token;

/// Stands for election whenever it is asked to, and hosts from the first success on.
#[derive(Debug)]
pub(crate) struct Candidate {
    folder: Folder,
    office: Mutex<Option<Office>>,
}

static CANDIDATES: StdMutex<Option<HashMap<PathBuf, Weak<Candidate>>>> = StdMutex::new(None);

/// The name of this process, by which a hub of its own recognises it.
pub(crate) fn process() -> Token {
    static PROCESS: OnceLock<Token> = OnceLock::new();
    *PROCESS.get_or_init(|| fastrand::u128(..))
}

impl Candidate {
    /// The candidate of this process for a folder.
    pub(crate) fn of(folder: Folder) -> Arc<Self> {
        let mut candidates = CANDIDATES.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = candidates.get_or_insert_default();
        if let Some(candidate) = candidates.get(folder.path()).and_then(Weak::upgrade) {
            return candidate;
        }
        candidates.retain(|_, candidate| candidate.strong_count() > 0);
        let path = folder.path().to_owned();
        let candidate = Arc::new(Self {
            folder,
            office: Mutex::default(),
        });
        candidates.insert(path, Arc::downgrade(&candidate));
        candidate
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Hosts if nobody does. Afterwards there is a host, which may still be starting where it is another process.
    ///
    /// # Errors
    /// What is wrong with the folder or its files.
    pub(crate) async fn stand(&self) -> Result<()> {
        let mut office = self.office.lock().await;
        if office.as_ref().is_some_and(|office| !office.is_over()) {
            return Ok(());
        }
        *office = None;
        if let Some(lock) = self.folder.lock()? {
            *office = Some(Office::open(&self.folder, lock).await?);
        }
        Ok(())
    }

    /// Ends this use of the candidate. With the last one it hosts no more, and the folder is free when this returns.
    ///
    /// # Errors
    /// When what was under way could not be written.
    pub(crate) async fn retire(self: Arc<Self>) -> Result<()> {
        let last = Arc::into_inner(self);
        match last.and_then(|last| last.office.into_inner()) {
            Some(office) => office.close().await,
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
    async fn a_process_has_one_candidate_and_hosts_until_its_last_use() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(temp.path()).unwrap();
        let (one, two) = (Candidate::of(folder.clone()), Candidate::of(folder.clone()));
        assert!(Arc::ptr_eq(&one, &two));
        one.stand().await.unwrap();
        two.stand().await.unwrap();
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
        let candidate = Candidate::of(folder.clone());
        candidate.stand().await.unwrap();
        assert!(!reachable(&folder).await);
        drop(other);
        candidate.stand().await.unwrap();
        assert!(reachable(&folder).await);
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_files_is_told_and_lets_go_of_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(temp.path()).unwrap();
        std::fs::write(
            folder.path().join("queues.sqlite"),
            "no database, but long enough",
        )
        .unwrap();
        let candidate = Candidate::of(folder.clone());
        let error = candidate.stand().await.unwrap_err();
        assert!(error.to_string().contains("queues.sqlite"), "{error}");
        assert!(folder.lock().unwrap().is_some());
    }
}
