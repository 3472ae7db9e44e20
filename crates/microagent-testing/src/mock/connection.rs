//! The connections of both mocks: numbered, and open until they are closed.

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
    /// The noun for error messages: `bus` or `broker`.
    noun: &'static str,
    closed: AtomicBool,
}

impl<S> Connection<S> {
    pub(super) fn new(shared: Arc<S>, id: u64, noun: &'static str) -> Self {
        Self {
            shared,
            id,
            noun,
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            let text = format!("the {} was closed", self.noun);
            return Err(Error::new(ErrorKind::Closed, text));
        }
        Ok(())
    }

    /// Closes the connection: from now on [`check_open`](Self::check_open) fails.
    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("noun", &self.noun)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
