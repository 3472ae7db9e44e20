//! The loop that keeps a connection to a server and opens it again after each loss.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::Outage;
use crate::{Error, ErrorKind, Result};

/// The time that a connection must last to end an outage: 10 s. The pauses after the next loss then start
/// with the shortest one, and its reason is logged again. A shorter connection proves nothing: a
/// server may accept each connection and then close it.
pub const PROVEN: Duration = Duration::from_secs(10);

/// A connection that [`keep_connected`] opens again after each loss.
pub trait Reconnect {
    /// An open connection.
    type Connection: Send;

    /// Returns the name and the address of the connection for the log, such as `signals` and
    /// `redis://localhost:6379`.
    fn name(&self) -> (&'static str, String);

    /// Opens a connection. It may first wait until one is needed.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) ends the loop. After any other error the loop tries again.
    fn open(&mut self) -> impl Future<Output = Result<Self::Connection>> + Send;

    /// Uses the connection until it is lost. `Ok` ends the loop: the connection is no longer needed.
    ///
    /// # Errors
    /// The reason of the loss.
    fn serve(&mut self, connection: Self::Connection) -> impl Future<Output = Result<()>> + Send;

    /// Records a loss or an attempt that failed. The loop has logged it, and pauses afterwards.
    fn failed(&mut self, failure: &Failure<'_>);
}

/// A connection that was lost, or an attempt to connect that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The reason.
    pub error: &'a Error,
    /// When the connection was lost. It stays the same for all attempts that follow.
    pub since: Instant,
    /// True if a connection was open and is lost; false for an attempt that failed.
    pub was_open: bool,
}

/// Keeps a connection until [`Reconnect::open`] returns a [`Closed`](ErrorKind::Closed) error or
/// [`Reconnect::serve`] returns `Ok`.
///
/// - The loop tries indefinitely, with the pauses of `outage`: they grow and are different for each client.
/// - It logs each reason once per outage, and `connected again` when the server is back.
/// - An outage ends when a connection has lasted for [`PROVEN`].
///
/// `first` is a connection that the driver opened before, to return the error of the first attempt to
/// its user; `outage` has that attempt's failure, if there was one. Without `first`, the loop opens the
/// connection without a pause unless `outage` has begun.
pub async fn keep_connected<R: Reconnect>(
    link: &mut R,
    first: Option<R::Connection>,
    mut outage: Outage,
) {
    let (mut opened, mut since) = (first, Instant::now());
    let mut is_lost = outage.has_begun();
    loop {
        let attempt = match opened.take() {
            Some(connection) => Ok(connection),
            None if is_lost => {
                sleep(outage.pause()).await;
                link.open().await
            }
            None => link.open().await,
        };
        let was_open = attempt.is_ok();
        let error = match attempt {
            Ok(connection) => {
                if is_lost {
                    let (connection, address) = link.name();
                    info!(connection, address, "connected again");
                }
                let opened_at = Instant::now();
                let Err(error) = link.serve(connection).await else {
                    return;
                };
                since = Instant::now();
                outage.lost_after(opened_at.elapsed());
                error
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => error,
        };
        is_lost = true;
        if outage.is_news(&error) {
            log(link.name(), &error, was_open);
        }
        link.failed(&Failure {
            error: &error,
            since,
            was_open,
        });
    }
}

fn log((connection, address): (&str, String), error: &Error, was_open: bool) {
    if was_open {
        warn!(connection, address, %error, "connection lost; reconnecting");
    } else {
        warn!(connection, address, %error, "cannot connect; will keep retrying");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// The server's behaviour at one attempt: it refuses it, or closes the connection after this time.
    type Attempt = std::result::Result<Duration, &'static str>;

    struct Script {
        attempts: VecDeque<Attempt>,
        opened: Vec<Instant>,
        failures: Vec<(String, Duration, bool)>,
    }

    impl Script {
        fn new(attempts: impl IntoIterator<Item = Attempt>) -> Self {
            Self {
                attempts: attempts.into_iter().collect(),
                opened: Vec::new(),
                failures: Vec::new(),
            }
        }

        /// Returns the pauses between attempts that failed.
        fn pauses(&self) -> Vec<Duration> {
            let pairs = self.opened.windows(2);
            pairs.map(|pair| pair[1] - pair[0]).collect()
        }
    }

    impl Reconnect for Script {
        type Connection = Duration;

        fn name(&self) -> (&'static str, String) {
            ("test", "test://".to_owned())
        }

        async fn open(&mut self) -> Result<Duration> {
            self.opened.push(Instant::now());
            match self.attempts.pop_front() {
                Some(Ok(lasts)) => Ok(lasts),
                Some(Err(reason)) => Err(Error::new(ErrorKind::Unavailable, reason)),
                None => Err(Error::new(ErrorKind::Closed, "closed")),
            }
        }

        async fn serve(&mut self, lasts: Duration) -> Result<()> {
            if lasts.is_zero() {
                return Ok(());
            }
            sleep(lasts).await;
            Err(Error::new(ErrorKind::Unavailable, "reset"))
        }

        fn failed(&mut self, failure: &Failure<'_>) {
            let (reason, since) = (failure.error.to_string(), failure.since.elapsed());
            self.failures.push((reason, since, failure.was_open));
        }
    }

    const FIRST: Duration = Duration::from_millis(50);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_tries_until_it_is_closed_with_pauses_that_grow() {
        let mut script = Script::new([Err("refused"); 20]);
        keep_connected(&mut script, None, Outage::default()).await;
        assert_eq!((script.opened.len(), script.failures.len()), (21, 20));
        let pauses = script.pauses();
        assert!(pauses[0] <= FIRST && pauses[19] >= SECOND, "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_lasts_ends_an_outage() {
        let short = Script::new([Ok(SECOND); 20]);
        let long = Script::new([Ok(PROVEN); 20]);
        for (mut script, lasts, is_proven) in [(short, SECOND, false), (long, PROVEN, true)] {
            keep_connected(&mut script, None, Outage::default()).await;
            let last = script.pauses()[19] - lasts;
            assert_eq!(last <= FIRST, is_proven, "{last:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_loss_stays_for_all_attempts() {
        let mut script = Script::new([Ok(SECOND), Err("refused"), Err("refused")]);
        keep_connected(&mut script, None, Outage::default()).await;
        let [lost, second, third] = &script.failures[..] else {
            panic!("{:?}", script.failures);
        };
        assert_eq!(
            (lost.0.as_str(), lost.1, lost.2),
            ("reset", Duration::ZERO, true)
        );
        assert!(Duration::ZERO < second.1 && second.1 < third.1);
        assert!(!second.2 && !third.2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_the_connection_is_no_longer_needed() {
        let mut script = Script::new([Err("not opened")]);
        keep_connected(&mut script, Some(Duration::ZERO), Outage::default()).await;
        assert!(script.opened.is_empty() && script.failures.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_first_attempt_that_failed_it_pauses() {
        let mut outage = Outage::default();
        assert!(outage.is_news(&"refused"));
        let began = Instant::now();
        let mut script = Script::new([]);
        keep_connected(&mut script, None, outage).await;
        assert!(script.opened[0] > began);
    }
}
