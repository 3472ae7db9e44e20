//! The connections of a driver: one shared by all commands and kept alive, others of one's own.
//!
//! It sends no command but `PING`, and decides nothing about messages.

mod greeting;
mod keep;
mod link;
mod open;

use std::{fmt, sync::Arc, time::Duration};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::{ConnectionRecord, ConnectionState, Outage, ends_connecting},
};
use redis::aio::PubSub;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

pub(crate) use self::link::Commands;
use self::{keep::ConnectionTask, link::FailureReports, open::Opener};
use crate::{RedisOptions, error::error_of};

/// The time that the answer to a command may take.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);

/// The time after a loss in which commands wait for the next connection. Later they fail at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause between two pings of a connection that did not answer, while a caller waits for it.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The way to one Redis. Clones share the connection for commands; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    opener: Arc<Opener>,
    state: watch::Sender<State>,
    reports: Arc<FailureReports>,
    record: Arc<ConnectionRecord>,
    keeper: AbortOnDropHandle<()>,
}

/// The state of the shared connection.
enum State {
    Up(Commands),
    Away {
        since: Instant,
        kind: ErrorKind,
        text: String,
    },
    Closed,
}

impl Connector {
    /// Makes the first attempt, and keeps trying in the background when it fails.
    ///
    /// # Errors
    /// Errors that a retry cannot change: refused credentials, a missing database, a cargo feature that is off.
    pub(crate) async fn connect(options: &RedisOptions) -> Result<Self> {
        let opener = Arc::new(Opener::new(options)?);
        let away = |kind, text| State::Away {
            since: Instant::now(),
            kind,
            text,
        };
        match opener.commands(RESPONSE_TIMEOUT).await {
            Ok(commands) => {
                // Until the keeper has announced it.
                let state = away(ErrorKind::Unavailable, "connecting".to_owned());
                Ok(Self::keeping(
                    opener,
                    Some(commands),
                    state,
                    Outage::default(),
                ))
            }
            Err(error) if ends_connecting(error.kind()) => Err(error),
            Err(error) => {
                warn!(%error, "cannot connect; will keep retrying");
                let mut outage = Outage::default();
                outage.is_news(&error);
                let state = away(error.kind(), error.to_string());
                Ok(Self::keeping(opener, None, state, outage))
            }
        }
    }

    fn keeping(opener: Arc<Opener>, first: Option<Commands>, state: State, outage: Outage) -> Self {
        let reports = Arc::<FailureReports>::default();
        let (state, _) = watch::channel(state);
        let record = Arc::<ConnectionRecord>::default();
        match (&first, &*state.borrow()) {
            (None, State::Away { text, .. }) => record.down(text),
            _ => record.up(),
        }
        let keeper = ConnectionTask {
            opener: opener.clone(),
            state: state.clone(),
            reports: reports.clone(),
            record: record.clone(),
            generation: 0,
        };
        let keeper = tokio::spawn(keeper.run(first, outage));
        let shared = Shared {
            opener,
            state,
            reports,
            record,
            keeper: AbortOnDropHandle::new(keeper),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The connection shared by all commands, with a response timeout. Soon after a loss it waits a moment for the
    /// connection to come back.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] while the server is away, [`ErrorKind::Refused`] when it no longer takes the
    /// credentials, [`ErrorKind::Closed`].
    pub(crate) async fn commands(&self) -> Result<Commands> {
        let mut states = self.shared.state.subscribe();
        let until = match &*states.borrow_and_update() {
            State::Up(commands) => return Ok(commands.clone()),
            State::Away { since, .. } => *since + PATIENCE,
            State::Closed => return Err(closed()),
        };
        let _ = timeout_at(until, states.wait_for(State::is_settled)).await;
        states.borrow().commands()
    }

    /// A connection of one's own for commands that block, each of them for less than `response`. One attempt.
    ///
    /// # Errors
    /// As of [`commands`](Self::commands).
    pub(crate) async fn dedicated(&self, response: Duration) -> Result<Commands> {
        self.check_open()?;
        self.shared.opener.commands(response).await
    }

    /// A connection for subscriptions. One attempt.
    ///
    /// # Errors
    /// As of [`commands`](Self::commands).
    pub(crate) async fn pubsub(&self) -> Result<PubSub> {
        self.check_open()?;
        self.shared.opener.pubsub().await
    }

    /// Waits until the connection for commands is up, and answers.
    ///
    /// # Errors
    /// Errors that waiting does not change: [`ErrorKind::Refused`], [`ErrorKind::Configuration`], [`ErrorKind::Closed`].
    pub(crate) async fn ready(&self) -> Result<()> {
        let mut states = self.shared.state.subscribe();
        loop {
            let settled = states.wait_for(State::is_settled).await;
            let mut commands = settled.map_err(|_| closed())?.commands()?;
            if is_alive(&mut commands).await.is_ok() {
                return Ok(());
            }
            // The keeper has heard of it, and either opens another or finds this one well.
            let _ = timeout(ASK_AGAIN, states.changed()).await;
        }
    }

    /// Has the shared connection asked at once whether it lives, for whoever saw another one to this server die.
    pub(crate) fn report_failure(&self) {
        self.shared.reports.received.notify_one();
    }

    /// Returns the state of the connection for commands.
    pub(crate) fn state(&self) -> ConnectionState {
        self.shared.record.state()
    }

    /// Returns the options. Their text has no credentials.
    pub(crate) fn options(&self) -> &RedisOptions {
        self.shared.opener.options()
    }

    /// Ends the shared connection for all clones.
    pub(crate) fn close(&self) {
        self.shared.keeper.abort();
        self.shared.state.send_replace(State::Closed);
        self.shared.record.down(closed());
    }

    fn check_open(&self) -> Result<()> {
        match &*self.shared.state.borrow() {
            State::Closed => Err(closed()),
            _ => Ok(()),
        }
    }
}

impl State {
    /// True when waiting changes nothing.
    fn is_settled(&self) -> bool {
        !matches!(self, Self::Away { kind, .. } if !ends_connecting(*kind))
    }

    fn commands(&self) -> Result<Commands> {
        match self {
            Self::Up(commands) => Ok(commands.clone()),
            Self::Away { kind, text, .. } => Err(Error::new(*kind, text.clone())),
            Self::Closed => Err(closed()),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(self.options()).finish()
    }
}

/// Asks the server whether it lives. One that refuses to tell this user has answered.
async fn is_alive(commands: &mut Commands) -> Result<()> {
    match redis::cmd("PING").query_async::<()>(commands).await {
        Err(error) if error.code() != Some("NOPERM") => Err(error_of(error)),
        _ => Ok(()),
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection to redis was closed")
}
