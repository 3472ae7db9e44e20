//! Keeping the shared connection: asking whether it lives, and opening another for ever when it does not.

use std::{sync::Arc, time::Duration};

use microagent_core::{
    Error, ErrorKind,
    driver::{ConnectionRecord, Outage},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    PROVEN, RESPONSE_TIMEOUT, State, is_alive,
    link::{Commands, Doubts},
    open::Opener,
};

/// How often an idle connection is asked.
const PING_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Keeper {
    pub(super) opener: Arc<Opener>,
    pub(super) state: watch::Sender<State>,
    pub(super) doubts: Arc<Doubts>,
    pub(super) record: Arc<ConnectionRecord>,
    pub(super) generation: u64,
    pub(super) outage: Outage,
}

impl Keeper {
    /// Runs until it is aborted.
    pub(super) async fn run(mut self, first: Option<Commands>) {
        let mut opened = first;
        loop {
            let commands = match opened.take() {
                Some(commands) => commands,
                None => self.reopen().await,
            };
            let since = Instant::now();
            let reason = self.serve(commands).await;
            if since.elapsed() > PROVEN {
                self.outage.end();
            }
            if self.outage.is_news(&reason) {
                let address = self.opener.options().address();
                warn!(%address, %reason, "the connection for commands is lost; reconnecting");
            }
            self.away(Instant::now(), &reason);
        }
    }

    async fn reopen(&mut self) -> Commands {
        let since = Instant::now();
        loop {
            sleep(self.outage.pause()).await;
            let error = match self.opener.commands(RESPONSE_TIMEOUT).await {
                Ok(commands) => {
                    let address = self.opener.options().address();
                    info!(%address, "the connection for commands is back");
                    return commands;
                }
                Err(error) => error,
            };
            if self.outage.is_news(&error) {
                warn!(%error, "cannot connect; will keep retrying");
            }
            self.away(since, &error);
        }
    }

    /// Lets the connection be used for as long as it lives; returns what ended it.
    async fn serve(&mut self, commands: Commands) -> Error {
        self.generation += 1;
        let shared = commands.clone();
        let shared = shared.watched(self.generation, self.doubts.clone());
        self.state.send_replace(State::Up(shared));
        self.record.up();
        loop {
            tokio::select! {
                () = sleep(PING_EVERY) => {}
                () = self.doubts.raised.notified() => {}
            }
            if self.doubts.condemned(self.generation) {
                let text = "the server no longer takes our commands: it became a replica, or forgot our login";
                return Error::new(ErrorKind::Unavailable, text);
            }
            let mut asked = commands.clone();
            if let Err(error) = is_alive(&mut asked).await {
                return error;
            }
        }
    }

    fn away(&self, since: Instant, error: &Error) {
        self.record.down(error);
        self.state.send_replace(State::Away {
            since,
            kind: error.kind(),
            text: error.to_string(),
        });
    }
}
