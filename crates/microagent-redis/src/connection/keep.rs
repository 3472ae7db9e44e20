//! The task that keeps the shared connection: it pings the server, and opens another connection after a loss.

use std::{sync::Arc, time::Duration};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::{ConnectionRecord, Failure, Outage, Reconnect, keep_connected},
};
use tokio::{sync::watch, time::sleep};

use super::{
    RESPONSE_TIMEOUT, State, is_alive,
    link::{Commands, FailureReports},
    open::Opener,
};

/// The time between two pings.
const PING_EVERY: Duration = Duration::from_secs(5);

pub(super) struct ConnectionTask {
    pub(super) opener: Arc<Opener>,
    pub(super) state: watch::Sender<State>,
    pub(super) reports: Arc<FailureReports>,
    pub(super) record: Arc<ConnectionRecord>,
    pub(super) generation: u64,
}

impl ConnectionTask {
    /// Runs until it is aborted.
    pub(super) async fn run(mut self, first: Option<Commands>, outage: Outage) {
        keep_connected(&mut self, first, outage).await;
    }
}

impl Reconnect for ConnectionTask {
    type Connection = Commands;

    fn name(&self) -> (&'static str, String) {
        ("commands", self.opener.options().address())
    }

    async fn open(&mut self) -> Result<Commands> {
        self.opener.commands(RESPONSE_TIMEOUT).await
    }

    /// Publishes the connection until the server does not answer or takes no commands.
    async fn serve(&mut self, commands: Commands) -> Result<()> {
        self.generation += 1;
        let shared = commands.clone();
        let shared = shared.watched(self.generation, self.reports.clone());
        self.state.send_replace(State::Up(shared));
        self.record.up();
        loop {
            tokio::select! {
                () = sleep(PING_EVERY) => {}
                () = self.reports.received.notified() => {}
            }
            if self.reports.is_rejected(self.generation) {
                let text =
                    "redis no longer accepts commands: it became a replica, or forgot the login";
                return Err(Error::new(ErrorKind::Unavailable, text));
            }
            let mut asked = commands.clone();
            is_alive(&mut asked).await?;
        }
    }

    fn failed(&mut self, failure: &Failure<'_>) {
        self.record.down(failure.error);
        self.state.send_replace(State::Away {
            since: failure.since,
            kind: failure.error.kind(),
            text: failure.error.to_string(),
        });
    }
}
