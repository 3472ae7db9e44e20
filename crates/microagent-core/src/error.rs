//! The one error of the public API: a kind to match on, a sentence to read, and the retry advice of a handler.
//!
//! It does not format logs and decides no outcome; `dispatch::outcome` reads the advice.

use std::{error::Error as StdError, fmt, time::Duration};

use microagent_schema::{OptionError, suggest};

/// Any error at all, boxed. Handlers may fail with whatever converts into this, `anyhow::Error` included.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// The result of this crate's functions; a handler may return it too.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, for code that reacts to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A DSN, a setting or the wiring of an agent is wrong; retrying does not help.
    Configuration,
    /// The declarations are malformed, or the code does not agree with them.
    Declaration,
    /// No signal of that name is declared on this bus.
    SignalNotFound,
    /// No queue of that name is declared on this broker.
    QueueNotFound,
    /// A prefix, sender, signal or queue name holds a character that the wire cannot carry.
    InvalidName,
    /// The payload is not a JSON object, or breaks the declaration on a strict bus.
    InvalidPayload,
    /// The payload is larger than the driver's `max_payload`.
    PayloadTooLarge,
    /// A payload could not be decoded into the parameters of the handler.
    Decode,
    /// The deadline passed.
    Timeout,
    /// Nobody listens to the signal that was called.
    NoResponders,
    /// The call would be the 17th of calls that are made inside each other: most likely handlers call each other in a cycle.
    CallDepth,
    /// The handler at the other end failed; the text is its own.
    Remote,
    /// The server cannot be reached now, or the connection was lost.
    Unavailable,
    /// The server refused the credentials or the permission.
    Refused,
    /// No queue accepts the message: its queue does not exist, and the server does not create queues on sending.
    Unroutable,
    /// This driver does not offer what was asked for.
    Unsupported,
    /// The handle was closed, or the agent is stopping.
    Closed,
    /// The driver or its storage failed.
    Driver,
    /// A handler or hook failed with an error of its own.
    Handler,
    /// A handler or hook panicked.
    Panic,
    /// The graceful end that a server asked for with [`ServerInterrupt`].
    Interrupted,
}

/// The advice of a failed handler about its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Retry by the consumer's policy.
    #[default]
    Retry,
    /// Retry after this long, whatever the policy's backoff says; the attempt counts.
    RetryAfter(Duration),
    /// Do not retry: dead letter at once.
    Terminal,
}

/// An error with a [kind](ErrorKind), a sentence and often a source.
///
/// ```
/// use microagent_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Timeout, "no answer within 60s");
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// assert_eq!(error.to_string(), "no answer within 60s");
/// ```
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
    advice: Advice,
}

impl Error {
    /// An error of this kind with a sentence for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            source: None,
            advice: Advice::default(),
        }))
    }

    /// A handler's failure that no retry can heal: the message becomes a dead letter at once.
    ///
    /// ```
    /// use microagent_core::{Advice, Error};
    ///
    /// assert_eq!(Error::terminal("unknown customer").advice(), Advice::Terminal);
    /// ```
    pub fn terminal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Handler, message).with_advice(Advice::Terminal)
    }

    /// Creates the error for a name that is not declared; it lists the names that are.
    pub(crate) fn undeclared<'a>(
        kind: ErrorKind,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut known = known.peekable();
        let text = if known.peek().is_none() {
            format!(
                "unknown {what} `{name}`: no {what} is declared; set declarations with `.declarations(…)`"
            )
        } else {
            suggest::unknown(what, name, known)
        };
        Self::new(kind, text)
    }

    /// Takes any error as a handler's failure; an [`Error`] stays what it is.
    ///
    /// ```
    /// use microagent_core::{Error, ErrorKind};
    ///
    /// let error = Error::from_boxed("smtp said no".into());
    /// assert_eq!((error.kind(), error.to_string()), (ErrorKind::Handler, "smtp said no".to_owned()));
    /// ```
    pub fn from_boxed(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(other) if other.is::<ServerInterrupt>() => {
                Self::new(ErrorKind::Interrupted, other.to_string())
            }
            Err(other) => {
                Self::new(ErrorKind::Handler, chain_of(other.as_ref())).with_source(other)
            }
        }
    }

    /// Returns the kind, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the advice of a failed handler about its message.
    #[must_use]
    pub fn advice(&self) -> Advice {
        self.0.advice
    }

    /// The same error with another advice.
    #[must_use]
    pub fn with_advice(mut self, advice: Advice) -> Self {
        self.0.advice = advice;
        self
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error for another who has to know: kind, text and advice, without the source.
    ///
    /// ```
    /// use microagent_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Unavailable, "the server is away");
    /// assert_eq!(error.without_source().to_string(), error.to_string());
    /// ```
    #[must_use]
    pub fn without_source(&self) -> Self {
        Self::new(self.kind(), self.0.message.clone()).with_advice(self.advice())
    }

    /// The same error with what was being done in front: `loading the cache: connection refused`.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }
}

/// An error and its sources in one sentence, without saying the same thing twice.
fn chain_of(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// The graceful end of an agent, returned as an error by an `#[on(server)]` hook: the agent stops, exit code 0.
///
/// ```
/// use microagent_core::{Error, ErrorKind, ServerInterrupt};
///
/// assert_eq!(Error::from(ServerInterrupt).kind(), ErrorKind::Interrupted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerInterrupt;

impl fmt::Display for ServerInterrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server asked the agent to stop")
    }
}

impl StdError for ServerInterrupt {}

/// Advice and context on the way out of a handler.
///
/// ```
/// use microagent_core::{Advice, ResultExt};
///
/// let parsed: microagent_core::Result<u8> = "300".parse::<u8>().terminal();
/// assert_eq!(parsed.unwrap_err().advice(), Advice::Terminal);
/// ```
pub trait ResultExt<T> {
    /// On failure: no retry, dead letter at once.
    fn terminal(self) -> Result<T>;
    /// On failure: retry after this long.
    fn retry_after(self, delay: Duration) -> Result<T>;
    /// On failure: says what was being done.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<BoxError>> ResultExt<T> for std::result::Result<T, E> {
    fn terminal(self) -> Result<T> {
        self.map_err(|e| Error::from_boxed(e.into()).with_advice(Advice::Terminal))
    }

    fn retry_after(self, delay: Duration) -> Result<T> {
        self.map_err(|e| Error::from_boxed(e.into()).with_advice(Advice::RetryAfter(delay)))
    }

    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Error::from_boxed(e.into()).context(what))
    }
}

/// `?` in a handler: the errors that a function without dependencies meets. For others there are [`ResultExt`],
/// a handler that returns `Result<T, TheirError>`, and `anyhow`.
macro_rules! from_std_errors {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::from_boxed(error.into())
            }
        }
    )*};
}

from_std_errors!(
    BoxError,
    String,
    &str,
    ServerInterrupt,
    std::io::Error,
    std::fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::net::AddrParseError,
    std::time::SystemTimeError,
    serde_json::Error,
    tokio::task::JoinError,
    tokio::time::error::Elapsed,
);

impl From<OptionError> for Error {
    fn from(error: OptionError) -> Self {
        Self::new(ErrorKind::Configuration, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boxed_error_of_ours_keeps_kind_and_advice() {
        let boxed: BoxError = Error::terminal("no").into();
        let error = Error::from_boxed(boxed);
        assert_eq!(
            (error.kind(), error.advice()),
            (ErrorKind::Handler, Advice::Terminal)
        );
    }

    #[test]
    fn sources_are_part_of_the_sentence_once() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("cannot read the template")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::from_boxed(Box::new(Outer(std::io::Error::other("disk on fire"))));
        assert_eq!(error.to_string(), "cannot read the template: disk on fire");
    }
}
