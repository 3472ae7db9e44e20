//! The state of a driver's connection: up or down, since when, and the number of reconnects.

use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard},
};

use tokio::time::Instant;

use super::lock;

/// The state of a driver's connection to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionState {
    /// True if the server can be reached, as far as the driver knows.
    pub up: bool,
    /// When the connection came up or was lost.
    pub since: Instant,
    /// The number of times that the connection came up again after a loss.
    pub reconnects: u64,
    /// Why the connection was lost, or why the last attempt to connect failed. It stays after the
    /// connection came up again.
    pub last_error: Option<String>,
}

impl ConnectionState {
    /// Returns the state of a driver that needs both connections: up if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let reconnects = self.reconnects.max(other.reconnects);
        let deciding = match (self.up, other.up) {
            (true, false) => other,
            (false, true) => self,
            // Both are up since the later of them is; both are down since the earlier of them is.
            (up, _) if (self.since < other.since) == up => other,
            _ => self,
        };
        Self {
            reconnects,
            ..deciding
        }
    }
}

/// Records what happens to a connection, for [`QueueBroker::connection`](crate::QueueBroker::connection)
/// and [`SignalBus::connection`](crate::SignalBus::connection).
///
/// ```
/// use microagent_core::driver::ConnectionRecord;
///
/// let record = ConnectionRecord::default();
/// assert!(!record.state().up);
/// record.up();
/// record.down("connection reset");
/// record.up();
///
/// let state = record.state();
/// assert!(state.up);
/// assert_eq!((state.reconnects, state.last_error.as_deref()), (1, Some("connection reset")));
/// ```
#[derive(Debug)]
pub struct ConnectionRecord(Mutex<Record>);

#[derive(Debug)]
struct Record {
    state: ConnectionState,
    /// True if the connection was up before.
    was_up: bool,
}

impl Default for ConnectionRecord {
    /// Creates the record of a connection that was never up.
    fn default() -> Self {
        Self(Mutex::new(Record {
            state: ConnectionState {
                up: false,
                since: Instant::now(),
                reconnects: 0,
                last_error: None,
            },
            was_up: false,
        }))
    }
}

impl ConnectionRecord {
    /// Creates the record of a driver without a server, which is always connected.
    #[must_use]
    pub fn always_up() -> Self {
        let record = Self::default();
        record.up();
        record
    }

    /// Records that the connection is up. Does nothing if it was up already.
    pub fn up(&self) {
        let mut record = self.lock();
        if record.state.up {
            return;
        }
        record.state.reconnects += u64::from(record.was_up);
        record.state.up = true;
        record.was_up = true;
        record.state.since = Instant::now();
    }

    /// Records that the connection is lost, or that another attempt failed.
    pub fn down(&self, error: impl Display) {
        let mut record = self.lock();
        if record.state.up {
            record.state.up = false;
            record.state.since = Instant::now();
        }
        record.state.last_error = Some(error.to_string());
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.lock().state.clone()
    }

    /// No step between two writes can panic, so a poisoned record is whole.
    fn lock(&self) -> MutexGuard<'_, Record> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_connections_are_up_if_both_are() {
        let (one, other) = (ConnectionRecord::always_up(), ConnectionRecord::always_up());
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        other.down("reset");
        let both = || one.state().and(other.state());
        assert_eq!((both().up, both().since), (false, Instant::now()));
        assert_eq!(both(), other.state().and(one.state()));
        tokio::time::advance(Duration::from_secs(1)).await;
        one.down("refused");
        assert_eq!(
            both().since,
            began + Duration::from_secs(1),
            "the earlier loss"
        );
        one.up();
        other.up();
        assert_eq!((both().up, both().since), (true, Instant::now()));
        assert_eq!(both().reconnects, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_do_not_move_the_time_of_the_loss() {
        let record = ConnectionRecord::always_up();
        tokio::time::advance(Duration::from_secs(5)).await;
        record.down("reset");
        let lost = record.state().since;
        tokio::time::advance(Duration::from_secs(5)).await;
        record.down("refused");

        let state = record.state();
        assert_eq!((state.up, state.since, state.reconnects), (false, lost, 0));
        assert_eq!(state.last_error.as_deref(), Some("refused"));
        record.up();
        assert_eq!(record.state().since, lost + Duration::from_secs(5));
        assert_eq!(record.state().reconnects, 1);
    }
}
