//! The connection for commands, and the reports of commands that failed on it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::FutureExt;
use redis::{
    Cmd, Pipeline, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

use crate::error::requires_reconnect;

/// A connection for commands; clones share it, and send side by side without waiting for each other.
#[derive(Clone)]
pub(crate) struct Commands {
    link: Link,
    watched: Option<Watched>,
}

#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

#[derive(Clone)]
struct Watched {
    generation: u64,
    reports: Arc<FailureReports>,
}

/// Reports of the users of the shared connection to the task that keeps it.
#[derive(Default)]
pub(super) struct FailureReports {
    pub(super) received: tokio::sync::Notify,
    /// The latest generation that must not be used again.
    rejected: AtomicU64,
}

impl FailureReports {
    /// Returns true if this connection, or a later one, must not be used again.
    pub(super) fn is_rejected(&self, generation: u64) -> bool {
        self.rejected.load(Ordering::Acquire) >= generation
    }
}

impl Commands {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            watched: None,
        }
    }

    /// Returns the same connection, whose failures are reported to its task. Generations count from 1.
    pub(super) fn watched(self, generation: u64, reports: Arc<FailureReports>) -> Self {
        let watched = Some(Watched {
            generation,
            reports,
        });
        Self { watched, ..self }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        match &self.link {
            Link::Single(_) => false,
            #[cfg(feature = "cluster")]
            Link::Cluster(_) => true,
        }
    }

    fn inner(&mut self) -> &mut (dyn ConnectionLike + Send) {
        match &mut self.link {
            Link::Single(connection) => connection,
            #[cfg(feature = "cluster")]
            Link::Cluster(connection) => connection,
        }
    }
}

impl Watched {
    fn look_at<T: Answer>(&self, result: &RedisResult<T>) {
        let is_rejected = match result {
            Ok(answer) => answer.requires_reconnect(),
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => false,
            Err(error) => match error.code() {
                Some(code) if requires_reconnect(code) => true,
                _ => return,
            },
        };
        if is_rejected {
            let rejected = &self.reports.rejected;
            rejected.fetch_max(self.generation, Ordering::AcqRel);
        } else if result.is_ok() {
            return;
        }
        self.reports.received.notify_one();
    }
}

/// The server's errors arrive inside of answers, not only instead of them.
trait Answer {
    fn requires_reconnect(&self) -> bool;
}

impl Answer for Value {
    fn requires_reconnect(&self) -> bool {
        match self {
            Self::ServerError(error) => requires_reconnect(error.code()),
            _ => false,
        }
    }
}

impl Answer for Vec<Value> {
    fn requires_reconnect(&self) -> bool {
        self.iter().any(|value| match value {
            // The answer to EXEC: the answers to the commands of the transaction.
            Value::Array(values) => values.iter().any(Answer::requires_reconnect),
            value => value.requires_reconnect(),
        })
    }
}

impl ConnectionLike for Commands {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let watched = self.watched.clone();
        let answer = self.inner().req_packed_command(cmd);
        match watched {
            Some(watched) => answer
                .inspect(move |result| watched.look_at(result))
                .boxed(),
            None => answer,
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let watched = self.watched.clone();
        let answers = self.inner().req_packed_commands(pipeline, offset, count);
        match watched {
            Some(watched) => answers
                .inspect(move |result| watched.look_at(result))
                .boxed(),
            None => answers,
        }
    }

    fn get_db(&self) -> i64 {
        match &self.link {
            Link::Single(connection) => connection.get_db(),
            #[cfg(feature = "cluster")]
            Link::Cluster(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.watched.as_ref().map(|watched| watched.generation);
        f.debug_struct("Commands")
            .field("generation", &generation)
            .finish()
    }
}
