//! One connection that is opened again after each loss.
//!
//! A broker has two: one that publishes and one that consumes. RabbitMQ blocks a connection that publishes while its
//! memory or its disk is full, and a blocked connection can acknowledge nothing.

use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use microagent_core::{
    Error, ErrorKind, Result,
    driver::{
        ConnectionRecord, ConnectionState, Failure, Outage, Reconnect, ends_connecting,
        keep_connected,
    },
};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::{
    AmqpOptions,
    error::{closed, error_of, error_of_opening, unavailable},
};

/// The longest time for connecting, with the handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest time that the server may take to answer a request.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// The time that an operation waits for a lost connection before it fails.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest pause between attempts to connect, and the first.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

const LOST: &str = "the connection to rabbitmq is lost";

/// A connection. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    state: watch::Sender<State>,
    record: Arc<ConnectionRecord>,
    keeper: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum State {
    Up(Up),
    Away { kind: ErrorKind, text: String },
    Closed,
}

/// A connection that was opened, and which one since the start.
#[derive(Clone)]
pub(crate) struct Up {
    pub(crate) generation: u64,
    connection: Arc<Connection>,
}

impl Up {
    fn is_lost(&self) -> bool {
        !self.connection.status().connected()
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel> {
        let opened = within(self.connection.create_channel()).await?;
        opened.map_err(|error| error_of(&error).context("cannot open a channel"))
    }
}

/// Waits for an answer of the server, within the usual time.
///
/// This is not for a request whose late effect has to be known: one that makes the server deliver messages, settles them, or
/// stores copies of them. The driver waits for those answers until the channel ends. If the server stays silent, the
/// heartbeats end the connection.
pub(crate) async fn within<T>(answer: impl Future<Output = T>) -> Result<T> {
    let late = |_| unavailable("rabbitmq did not answer in time");
    timeout(ANSWER, answer).await.map_err(late)
}

/// Runs an exchange with the server to its end, whatever becomes of the caller. The client closes a channel whose
/// handle is dropped; if the server closes it at the same time, the client gives the whole connection up.
pub(crate) async fn to_the_end<T: Send + 'static>(
    exchange: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(exchange).await;
    ended.unwrap_or_else(|_| Err(closed()))
}

impl Link {
    /// Makes the first attempt, and keeps trying in the background if it fails.
    ///
    /// # Errors
    /// Refused credentials, a virtual host that does not exist, and TLS that cannot be used here.
    pub(crate) async fn connect(options: &AmqpOptions, purpose: &'static str) -> Result<Self> {
        let mut outage = Outage::new(PAUSES.0, PAUSES.1);
        let record = Arc::<ConnectionRecord>::default();
        let first = match open(options, purpose).await {
            Err(error) if ends_connecting(error.kind()) => return Err(error),
            Err(error) => {
                outage.is_news(&error);
                warn!(%error, "cannot connect; will keep retrying");
                record.down(&error);
                Err(error)
            }
            up => up,
        };
        let state = match &first {
            Ok(connection) => {
                record.up();
                let connection = Arc::clone(connection);
                State::Up(Up {
                    generation: 0,
                    connection,
                })
            }
            Err(error) => State::away(error),
        };
        let (state, _) = watch::channel(state);
        let mut keeper = Keeper {
            options: options.clone(),
            purpose,
            state: state.clone(),
            record: Arc::clone(&record),
            generation: 0,
        };
        let keeping = async move { keep_connected(&mut keeper, first.ok(), outage).await };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeping));
        let shared = Shared {
            state,
            record,
            keeper,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Returns the connection, and waits a moment if it was lost.
    ///
    /// # Errors
    /// `Closed`; the error of the last attempt if the server is away.
    pub(crate) async fn up(&self) -> Result<Up> {
        match self.up_now() {
            Some(up) => Ok(up),
            None => Box::pin(self.up_within(PATIENCE)).await,
        }
    }

    /// Returns the connection if it is there.
    fn up_now(&self) -> Option<Up> {
        match &*self.shared.state.borrow() {
            State::Up(up) if !up.is_lost() => Some(up.clone()),
            _ => None,
        }
    }

    /// As [`up`](Self::up), and waits this long.
    pub(crate) async fn up_within(&self, patience: Duration) -> Result<Up> {
        let mut state = self.shared.state.subscribe();
        let up = state.wait_for(|state| !state.is_awaited());
        let found = match timeout(patience, up).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => State::Closed,
            Err(_) => self.shared.state.borrow().clone(),
        };
        match found {
            State::Up(up) if up.is_lost() => Err(unavailable(LOST)),
            State::Up(up) => Ok(up),
            State::Closed => Err(closed()),
            State::Away { kind, text } => Err(Error::new(kind, text)),
        }
    }

    /// Waits for the connection until it is there.
    ///
    /// # Errors
    /// `Closed`; `Refused` if the server refuses the login now.
    pub(crate) async fn ready(&self) -> Result<Up> {
        let mut state = self.shared.state.subscribe();
        let decided = |state: &State| {
            let refused = matches!(state, State::Away { kind, .. } if *kind == ErrorKind::Refused);
            refused || !state.is_awaited()
        };
        let found = state.wait_for(decided).await.map(|state| state.clone());
        match found {
            Ok(State::Up(up)) => Ok(up),
            Ok(State::Away { kind, text }) => Err(Error::new(kind, text)),
            Ok(State::Closed) | Err(_) => Err(closed()),
        }
    }

    /// Waits for the connection, whatever the reason why it is not there.
    ///
    /// # Errors
    /// `Closed`.
    pub(crate) async fn next_up(&self) -> Result<Up> {
        let mut state = self.shared.state.subscribe();
        let up = state.wait_for(|state| !state.is_awaited());
        match up.await.map(|state| state.clone()) {
            Ok(State::Up(up)) => Ok(up),
            _ => Err(closed()),
        }
    }

    /// Returns true while the server takes no messages over this connection, because it is short of memory or disk.
    pub(crate) fn is_blocked(&self) -> bool {
        let state = self.shared.state.borrow();
        matches!(&*state, State::Up(up) if up.connection.status().blocked())
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.shared.record.state()
    }

    /// Ends the connection for good.
    pub(crate) async fn close(&self) {
        self.shared.keeper.abort();
        let before = self.shared.state.send_replace(State::Closed);
        self.shared.record.down(closed());
        if let State::Up(up) = before {
            // The server may be away; its side ends with the socket then.
            let _ = timeout(CONNECT, up.connection.close(200, "closed".into())).await;
        }
    }
}

impl State {
    /// Returns true if the next connection is waited for: this one may have ended before its keeper has noticed it.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Up(up) => up.is_lost(),
            Self::Away { .. } => true,
            Self::Closed => false,
        }
    }

    fn away(error: &Error) -> Self {
        Self::Away {
            kind: error.kind(),
            text: error.to_string(),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The task that opens a connection again after each loss.
struct Keeper {
    options: AmqpOptions,
    purpose: &'static str,
    state: watch::Sender<State>,
    record: Arc<ConnectionRecord>,
    generation: u64,
}

impl Reconnect for Keeper {
    type Connection = Arc<Connection>;

    fn name(&self) -> (&'static str, String) {
        (self.purpose, self.options.address())
    }

    async fn open(&mut self) -> Result<Self::Connection> {
        let connection = open(&self.options, self.purpose).await?;
        self.generation += 1;
        self.record.up();
        self.state.send_replace(State::Up(Up {
            generation: self.generation,
            connection: Arc::clone(&connection),
        }));
        Ok(connection)
    }

    async fn serve(&mut self, connection: Self::Connection) -> Result<()> {
        Err(lost(&connection).await)
    }

    fn failed(&mut self, failure: &Failure<'_>) {
        self.record.down(failure.error);
        self.state.send_replace(State::away(failure.error));
    }
}

/// Waits for the end of a connection and returns the reason.
async fn lost(connection: &Connection) -> Error {
    let mut events = pin!(connection.events_listener());
    // The listener gets no events of the time before it existed; the state contains them.
    while connection.status().connected() {
        match events.next().await {
            // The end of one channel is reported here, too.
            Some(Event::Error(error)) if error.is_amqp_soft_error() => {}
            Some(Event::Error(error)) => return error_of(&error),
            Some(Event::ConnectionBlocked(reason)) => {
                warn!(reason, "rabbitmq is short of memory or disk; sending waits");
            }
            Some(Event::ConnectionUnblocked) => info!("rabbitmq accepts messages again"),
            Some(_) => {}
            None => break,
        }
    }
    unavailable(LOST)
}

async fn open(options: &AmqpOptions, purpose: &str) -> Result<Arc<Connection>> {
    let name = format!("{} {purpose}", program_name());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    match timeout(CONNECT, connect(options, properties)).await {
        Ok(opened) => opened
            .map(Arc::new)
            .map_err(|error| error.context(options.address())),
        Err(_) => {
            let text = format!("{}: rabbitmq did not answer in time", options.address());
            Err(unavailable(text))
        }
    }
}

async fn connect(options: &AmqpOptions, properties: ConnectionProperties) -> Result<Connection> {
    let opened = if options.tls {
        secured(options, properties).await?
    } else {
        Connection::connect_uri(options.uri(), properties).await
    };
    opened.map_err(|error| error_of_opening(&error))
}

#[cfg(feature = "tls")]
async fn secured(
    options: &AmqpOptions,
    properties: ConnectionProperties,
) -> Result<lapin::Result<Connection>> {
    crate::tls::connect(options.uri(), properties).await
}

/// The client would send the password without TLS.
#[cfg(not(feature = "tls"))]
async fn secured(_: &AmqpOptions, _: ConnectionProperties) -> Result<lapin::Result<Connection>> {
    let text = "TLS needs the cargo feature `tls` of `microagent-amqp`, which is off";
    Err(Error::new(ErrorKind::Configuration, text))
}

/// The name of the program, for the list of connections that RabbitMQ shows.
fn program_name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&program)
        .file_name()
        .unwrap_or_default();
    name.to_string_lossy().into_owned()
}
