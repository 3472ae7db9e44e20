//! The public handle of a signal bus: send, call, and look signals up by name.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use microagent_schema::{Declarations, SignalDeclaration};
use serde::Serialize;
use tokio::time::timeout;
use tracing::{Instrument, warn};

use super::{NamedSignal, check};
use crate::{
    Channel, DEFAULT_PREFIX, Error, ErrorKind, Fields, Result, Signal, SignalBus, SubscriberCount,
    channel::{self, RESPONSE},
    dispatch::listening::Listening,
    driver::ConnectionState,
    payload::encode_payload,
    rpc::{AnswerBody, Call, Calls, Outgoing, Wait},
    stats::{Counter, RequestCounts},
    trace,
};

/// Time that an answer waits for the connection if it cannot be published at once.
const ANSWER_AGAIN: Duration = Duration::from_secs(5);

/// A signal bus: every current subscriber receives each signal. It can be used with and without an agent.
/// Cloning is cheap, and all clones share one bus.
///
/// ```
/// # use std::sync::Arc;
/// use microagent_core::{Bus, MemoryBus};
/// use serde_json::json;
///
/// # tokio_test(async {
/// let bus = Bus::new(Arc::new(MemoryBus::new()));
/// bus.undeclared("started")?.send("shell", &json!({})).await?;
/// # Ok(()) });
/// # fn tokio_test(run: impl Future<Output = microagent_core::Result<()>>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run).unwrap();
/// # }
/// ```
#[derive(Clone)]
pub struct Bus(Arc<Parts>);

struct Parts {
    driver: Arc<dyn SignalBus>,
    options: BusOptions,
    uid: String,
    calls: Calls,
    listening: Listening,
    strays: Counter,
    sends: RequestCounts,
    requests: RequestCounts,
}

/// Options of a bus.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BusOptions {
    /// The prefix of all channels. Default: the prefix of the declarations, then that of the signal, then
    /// `PUBSUB`.
    pub prefix: Option<String>,
    /// The declared signals of the deployment, for look-up by name and to check sent payloads. Default: none.
    pub declarations: Option<Arc<Declarations>>,
    /// Refuses a payload that breaks its declaration, instead of logging a warning. Default: `false`.
    pub strict: bool,
    /// The name of this machine, by which `marun status --bus` tells replicas apart. Default: that of the system if the bus
    /// is connected by a DSN, otherwise empty.
    pub host: String,
}

impl BusOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets [`declarations`](Self::declarations).
    #[must_use]
    pub fn declarations(mut self, declarations: impl Into<Arc<Declarations>>) -> Self {
        self.declarations = Some(declarations.into());
        self
    }

    /// Sets [`strict`](Self::strict).
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Sets [`host`](Self::host).
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }
}

impl Bus {
    /// Creates a bus on this driver, with default options.
    #[must_use]
    pub fn new(driver: Arc<dyn SignalBus>) -> Self {
        Self::build(driver, BusOptions::default())
    }

    /// Creates a bus on this driver.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for a prefix that channels cannot carry.
    pub fn with_options(driver: Arc<dyn SignalBus>, options: BusOptions) -> Result<Self> {
        if let Some(prefix) = &options.prefix {
            channel::check_prefix(prefix)?;
        }
        Ok(Self::build(driver, options))
    }

    fn build(driver: Arc<dyn SignalBus>, options: BusOptions) -> Self {
        Self(Arc::new(Parts {
            driver,
            options,
            uid: format!("{:032x}", fastrand::u128(..)),
            calls: Calls::new(),
            listening: Listening::default(),
            strays: Counter::default(),
            sends: RequestCounts::default(),
            requests: RequestCounts::default(),
        }))
    }

    /// Sends a signal to all current subscribers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for the sender, [`ErrorKind::InvalidPayload`] on a strict bus, and the errors of
    /// the driver: [`ErrorKind::Unavailable`], [`ErrorKind::PayloadTooLarge`], [`ErrorKind::Closed`].
    pub async fn send<S: Signal>(&self, sender: &str, signal: S) -> Result<()> {
        let outgoing = self.outgoing_of(sender, &signal)?;
        self.publish(&outgoing).await.map(drop)
    }

    /// Sends a signal and waits for the first answer. Await the returned [`Call`].
    pub fn call<S: Signal>(&self, sender: &str, signal: S) -> Call {
        Call::new(self.clone(), self.outgoing_of(sender, &signal))
    }

    /// Sends a signal and collects all answers. Await the returned [`Wait`].
    pub fn waiter<S: Signal>(&self, sender: &str, signal: S) -> Wait {
        Wait::new(self.clone(), self.outgoing_of(sender, &signal))
    }

    /// Returns a declared signal by its name, for names and arguments that are known only at run time.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microagent_core::{Bus, BusOptions, Declarations, ErrorKind, MemoryBus};
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let file = r#"{"version": 1, "signals": [{"name": "user_created", "providing_args": ["user_id"]}], "queues": []}"#;
    /// let declared = Declarations::parse(file).expect("it is well-formed");
    /// let options = BusOptions::default().declarations(declared).strict(true);
    /// let bus = Bus::with_options(Arc::new(MemoryBus::new()), options)?;
    ///
    /// bus.signal("user_created")?.send("web", &json!({"user_id": 7})).await?;
    /// let misspelt = bus.signal("user_created")?.send("web", &json!({"usr_id": 7})).await;
    /// assert_eq!(misspelt.unwrap_err().kind(), ErrorKind::InvalidPayload);
    /// assert_eq!(bus.signal("user_create").unwrap_err().kind(), ErrorKind::SignalNotFound);
    /// # Ok::<(), microagent_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SignalNotFound`], with the names of the declared signals.
    pub fn signal(&self, name: &str) -> Result<NamedSignal> {
        let declarations = self.0.options.declarations.as_deref();
        if declarations.is_some_and(|known| known.signal(name).is_some()) {
            return Ok(NamedSignal {
                bus: self.clone(),
                name: name.to_owned(),
            });
        }
        let declared = declarations.iter().flat_map(|known| &known.signals);
        let known = declared.map(|signal| signal.name.as_str());
        Err(Error::undeclared(
            ErrorKind::SignalNotFound,
            "signal",
            name,
            known,
        ))
    }

    /// Returns a signal by a name that need not be declared, for tools.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for a name that is not `[a-z_][a-z0-9_]*`, and for the internal `response` and `status`.
    pub fn undeclared(&self, name: &str) -> Result<NamedSignal> {
        microagent_schema::names::check_signal(name)
            .map_err(|error| Error::new(ErrorKind::InvalidName, error.to_string()))?;
        Ok(NamedSignal {
            bus: self.clone(),
            name: name.to_owned(),
        })
    }

    /// Returns the declarations that were given in the options.
    #[must_use]
    pub fn declarations(&self) -> Option<&Arc<Declarations>> {
        self.0.options.declarations.as_ref()
    }

    /// Returns the channel prefix for signals that do not have their own.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.prefix_or(None)
    }

    /// Returns the state of the connection, without asking the server. `None` if the driver does not
    /// report it.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionState> {
        self.0.driver.connection()
    }

    /// Waits until the server is reached.
    ///
    /// # Errors
    /// Errors that waiting does not resolve: refused credentials, a closed bus.
    pub async fn ready(&self) -> Result<()> {
        self.0.driver.ready().await
    }

    /// Ends all subscriptions and the connection, for all clones of this handle. An agent that still listens ends with a
    /// failure, so stop it first.
    ///
    /// # Errors
    /// An error if pending data could not be flushed.
    pub async fn close(&self) -> Result<()> {
        self.0.listening.clear().await;
        self.0.driver.close().await
    }

    /// Returns the number of calls that wait for an answer, and the number of answers that came after their
    /// caller had stopped waiting.
    #[must_use]
    pub fn call_counts(&self) -> (usize, u64) {
        (self.0.calls.pending(), self.0.calls.late())
    }

    /// Returns the driver, for operations that this handle does not offer.
    #[must_use]
    pub fn driver(&self) -> &dyn SignalBus {
        &*self.0.driver
    }

    pub(crate) fn weak(&self) -> WeakBus {
        WeakBus(Arc::downgrade(&self.0))
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.0.calls
    }

    pub(crate) fn listening(&self) -> &Listening {
        &self.0.listening
    }

    /// Returns the first prefix that is set: that of this bus, of the declarations, of the signal, or the
    /// documented default.
    pub(crate) fn prefix_or<'a>(&'a self, own: Option<&'a str>) -> &'a str {
        let options = &self.0.options;
        let declared = || options.declarations.as_ref()?.default_prefix.as_deref();
        options
            .prefix
            .as_deref()
            .or_else(declared)
            .or(own)
            .unwrap_or(DEFAULT_PREFIX)
    }

    /// Returns the name of this machine, if it is known.
    pub(crate) fn host(&self) -> &str {
        &self.0.options.host
    }

    pub(crate) fn count_stray(&self) {
        self.0.strays.count();
    }

    /// Returns the number of signals that came on invalid channels.
    pub(crate) fn strays(&self) -> u64 {
        self.0.strays.get()
    }

    /// Returns the counters of the signals that were sent, calls not included.
    pub(crate) fn sends(&self) -> &RequestCounts {
        &self.0.sends
    }

    /// Returns the counters of the calls for one answer.
    pub(crate) fn requests(&self) -> &RequestCounts {
        &self.0.requests
    }

    /// Returns `true` if the bus refuses payloads that break their declaration.
    pub(crate) fn is_strict(&self) -> bool {
        self.0.options.strict
    }

    pub(crate) async fn publish_answer(
        &self,
        prefix: &str,
        id: &str,
        body: AnswerBody,
    ) -> Result<()> {
        let channel = Channel {
            prefix,
            signal: RESPONSE,
            sender: &self.0.uid,
            id: Some(id),
        };
        let (driver, channel, body) = (&self.0.driver, channel.to_string(), body.into_bytes());
        match driver.publish(&channel, body.clone()).await {
            // The caller's connection may be back already, and the caller waits until its timeout.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let again = async {
                    driver.ready().await?;
                    driver.publish(&channel, body).await
                };
                let sent = timeout(ANSWER_AGAIN, again).await;
                sent.unwrap_or(Err(error)).map(drop)
            }
            sent => sent.map(drop),
        }
    }

    pub(super) async fn publish(&self, outgoing: &Outgoing) -> Result<SubscriberCount> {
        let channel = Channel {
            prefix: &outgoing.prefix,
            signal: &outgoing.signal,
            sender: &outgoing.sender,
            id: None,
        };
        let (driver, channel, body) = (&self.0.driver, channel.to_string(), outgoing.body.clone());
        let publish = driver.publish(&channel, body);
        if !trace::is_enabled() {
            return self.0.sends.counted(publish).await;
        }
        let span = trace::publish(&**driver, &outgoing.signal, outgoing.body.len());
        let publish = publish.instrument(span.clone());
        let published = self.0.sends.counted(publish).await;
        trace::end(&span, &published);
        published
    }

    fn outgoing_of<S: Signal>(&self, sender: &str, signal: &S) -> Result<Outgoing> {
        self.outgoing(S::NAME, S::PREFIX, Some(S::declaration()), sender, signal)
    }

    pub(super) fn outgoing<T: Serialize + ?Sized>(
        &self,
        name: &str,
        own_prefix: Option<&str>,
        declared: Option<&SignalDeclaration>,
        sender: &str,
        args: &T,
    ) -> Result<Outgoing> {
        channel::check_sender(sender)?;
        let body = encode_payload(args)?;
        if let Some(declared) = declared {
            self.check_sent(declared, &body)?;
        }
        Ok(Outgoing {
            prefix: self.prefix_or(own_prefix).to_owned(),
            signal: name.to_owned(),
            sender: sender.to_owned(),
            body,
        })
    }

    fn check_sent(&self, declared: &SignalDeclaration, body: &[u8]) -> Result<()> {
        let Some(misfit) = check::misfit(declared, &Fields::of(body)?) else {
            return Ok(());
        };
        let name = &declared.name;
        if self.is_strict() {
            return Err(Error::new(
                ErrorKind::InvalidPayload,
                format!("signal `{name}`: {misfit}"),
            ));
        }
        warn!(
            signal = name,
            misfit, "signal sent that breaks its declaration"
        );
        Ok(())
    }
}

/// A weak reference to a bus, which may have been dropped.
pub(crate) struct WeakBus(Weak<Parts>);

impl WeakBus {
    pub(crate) fn upgrade(&self) -> Option<Bus> {
        self.0.upgrade().map(Bus)
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.driver.address(), self.prefix())
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("address", &self.0.driver.address())
            .field("prefix", &self.prefix())
            .field("uid", &self.0.uid)
            .field("strays", &self.0.strays.get())
            .finish_non_exhaustive()
    }
}
