//! What the connections of both mocks have in common: they are numbered, and open until they are closed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use microagent_core::{Error, ErrorKind, Result};

/// One connection to a mock, whose connections share `S`.
pub(super) struct Connection<S> {
    pub(super) shared: Arc<S>,
    pub(super) id: u64,
    /// What people call it.
    what: &'static str,
    closed: AtomicBool,
}

impl<S> Connection<S> {
    pub(super) fn new(shared: Arc<S>, id: u64, what: &'static str) -> Self {
        Self {
            shared,
            id,
            what,
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            let text = format!("the {} was closed", self.what);
            return Err(Error::new(ErrorKind::Closed, text));
        }
        Ok(())
    }

    /// From now on it says that it is closed.
    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("what", &self.what)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
