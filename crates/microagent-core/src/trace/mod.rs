//! Spans of messages, signals, calls and scheduled runs, and the context that travels with them.
//!
//! The spans have the target [`TARGET`] and the level `TRACE`. They are created only if a subscriber enables them, so
//! that they cost nothing otherwise. Their fields are the messaging attributes of OpenTelemetry.
//!
//! A context is what another process needs to continue a trace: the fields [`TRACEPARENT`] and [`TRACESTATE`] of the W3C
//! recommendation *Trace Context*. This crate does not know how a subscriber identifies a span, so a [`Propagator`]
//! reads and sets contexts. `microagent-otel` has one for OpenTelemetry.

mod settle;
mod span;

use std::sync::OnceLock;

use tracing::Span;

pub(crate) use self::{
    settle::{OpenSettle, SettleTrace},
    span::{
        answer, call, end, end_run, is_enabled, process, publish, receive, run, send, system_of,
    },
};
use crate::{Message, SendOptions, broker::Caps, header};

/// The target of all spans of this crate.
pub const TARGET: &str = "microagent::trace";

/// The header with the ids of a trace and of a span.
pub const TRACEPARENT: &str = "traceparent";
/// The header with the additional data of tracing systems.
pub const TRACESTATE: &str = "tracestate";

/// The longest value of [`TRACEPARENT`] and of [`TRACESTATE`] that is read and sent.
const LONGEST: usize = 512;

/// The context of a span, as it travels to another process.
///
/// ```
/// use microagent_core::trace::TraceContext;
///
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::new(parent, None).expect("it has the format of the W3C recommendation");
/// assert_eq!((context.parent(), context.state()), (parent, None));
/// assert!(TraceContext::new("t1", None).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: Box<str>,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// Creates a context of the values of the two headers. Returns `None` if the first is not a `traceparent`. A second that
    /// is empty, longer than 512 bytes or not printable ASCII is left out.
    #[must_use]
    pub fn new(parent: &str, state: Option<&str>) -> Option<Self> {
        let state = state.filter(|state| is_state(state));
        is_parent(parent).then(|| Self {
            parent: parent.into(),
            state: state.map(Into::into),
        })
    }

    /// Returns the value of [`TRACEPARENT`].
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// Returns the value of [`TRACESTATE`], if there is one.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Returns the context in the headers of a message.
    fn of_message(message: &Message) -> Option<Self> {
        Self::new(message.header(TRACEPARENT)?, message.header(TRACESTATE))
    }
}

/// Checks the format `{version}-{trace id}-{span id}-{flags}` in lower-case hexadecimal digits. A later version may have
/// further parts.
fn is_parent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let part = parts.next();
        part.is_some_and(|part| part.len() == digits && part.bytes().all(is_hex))
    };
    let known = hex(2) && hex(32) && hex(16) && hex(2);
    let has_more = parts.next().is_some();
    known && text.len() <= LONGEST && (!has_more || !text.starts_with("00")) && is_state(text)
}

fn is_state(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// The connection between spans of `tracing` and the ids of a tracing system.
pub trait Propagator: Send + Sync + 'static {
    /// Returns the context of a span, or `None` if the span has none. The span may start with this call.
    fn context(&self, span: &Span) -> Option<TraceContext>;

    /// Makes a span of another process the parent of a span that has not been entered yet.
    fn set_parent(&self, span: &Span, parent: &TraceContext);

    /// Adds a link to a span of another process.
    fn add_link(&self, span: &Span, to: &TraceContext);
}

static PROPAGATOR: OnceLock<Box<dyn Propagator>> = OnceLock::new();

/// Sets the propagator of this process. Returns `false` if it has one already, which stays.
///
/// ```
/// use microagent_core::trace::{Propagator, TraceContext, set_propagator};
/// use tracing::Span;
///
/// struct NoContext;
///
/// impl Propagator for NoContext {
///     fn context(&self, _: &Span) -> Option<TraceContext> { None }
///     fn set_parent(&self, _: &Span, _: &TraceContext) {}
///     fn add_link(&self, _: &Span, _: &TraceContext) {}
/// }
///
/// assert!(set_propagator(NoContext));
/// assert!(!set_propagator(NoContext));
/// ```
pub fn set_propagator(propagator: impl Propagator) -> bool {
    PROPAGATOR.set(Box::new(propagator)).is_ok()
}

/// Returns the context of a span, if somebody records the span and a propagator is set.
pub(crate) fn context_of(span: &Span) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    PROPAGATOR.get()?.context(span)
}

fn set_parent(span: &Span, parent: Option<&TraceContext>) {
    if let (Some(propagator), Some(parent)) = (PROPAGATOR.get(), parent) {
        propagator.set_parent(span, parent);
    }
}

fn add_link(span: &Span, to: Option<&TraceContext>) {
    if let (Some(propagator), Some(to)) = (PROPAGATOR.get(), to) {
        propagator.add_link(span, to);
    }
}

/// Adds the context of a span to the headers of a message, if the driver has headers and room for it. A context that
/// the sender has set itself stays.
pub(crate) fn inject(span: &Span, caps: Caps, options: &mut SendOptions) {
    let has_own = options.headers.iter().any(|(name, _)| name == TRACEPARENT);
    if !caps.headers || has_own {
        return;
    }
    let Some(context) = context_of(span) else {
        return;
    };
    let state = context.state.map(|state| (TRACESTATE, state));
    let pairs = [(TRACEPARENT, context.parent)].into_iter().chain(state);
    for (name, value) in pairs {
        let known = options
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let size = header::size_of(known.chain([(name, &*value)]));
        if caps.max_headers.is_none_or(|most| size <= most) {
            options.headers.push((name.to_owned(), value.into()));
        }
    }
}

#[cfg(test)]
mod tests;
