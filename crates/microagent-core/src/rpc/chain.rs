//! The chain of calls in which a handler runs, and how long its caller still waits.
//!
//! Both travel in the id of a call: `{token}-{n}~{milliseconds}`, and `~{A.x,B.y}` when it is made in a handler.
//! If the caller's process records spans, `~{traceparent}` follows, after an empty chain if there is none.
//! A responder only repeats the id in its answer, so that a peer in another language does not notice.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{Advice, Error, ErrorKind, Result, clock::later, shortened, trace::TraceContext};

/// The most handlers of a chain of calls.
pub(crate) const MAX_CALL_DEPTH: usize = 16;

/// Separates the parts of an id.
const PART: char = '~';
/// Separates the handlers of a chain.
const LINK: char = ',';

tokio::task_local! {
    static CURRENT: CallScope;
}

/// The caller of a receiver, as far as its id tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// When it stops waiting.
    until: Instant,
    /// The handlers before this one, the first caller first.
    chain: Arc<str>,
    /// The span of the call, if the caller's process records spans.
    trace: Option<Arc<TraceContext>>,
}

impl Caller {
    /// Reads the id of a call that arrives now; `None` for an id that a peer of another kind made.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.split(PART).skip(1);
        let millis = parts.next()?.parse().ok()?;
        let chain = parts.next().unwrap_or_default();
        let trace = parts
            .next()
            .and_then(|parent| TraceContext::new(parent, None));
        Some(Self {
            until: later(Instant::now(), Duration::from_millis(millis)),
            chain: chain.into(),
            trace: trace.map(Arc::new),
        })
    }

    /// Returns the span of the call, if the caller's process records spans.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_deref()
    }

    /// Returns whether the caller has stopped waiting by then.
    pub(crate) fn gave_up_by(&self, then: Instant) -> bool {
        self.until <= then
    }
}

/// The handler that runs, as the calls that it makes see it.
#[derive(Clone, Debug)]
pub(crate) struct CallScope {
    handler: Arc<str>,
    caller: Option<Caller>,
    /// When its own timeout cuts it off.
    ends: Instant,
}

impl CallScope {
    /// The scope of a handler that its own timeout cuts off at `ends`.
    pub(crate) fn new(handler: &Arc<str>, caller: Option<Caller>, ends: Instant) -> Self {
        Self {
            handler: Arc::clone(handler),
            caller,
            ends,
        }
    }

    /// Runs a handler so that the calls that it makes know of this scope.
    pub(crate) fn around<F: Future>(self, run: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, run)
    }

    /// The scope of the handler that makes a call now, if one does.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// When the caller of this handler stops waiting.
    pub(super) fn caller_waits_until(&self) -> Option<Instant> {
        Some(self.caller.as_ref()?.until)
    }

    /// Returns when an answer to a call that is made here is no longer needed.
    fn needed_until(&self, deadline: Instant) -> Instant {
        deadline.min(self.ends)
    }

    /// The chain of a call that this handler makes.
    ///
    /// # Errors
    /// When it is too long already.
    fn chain(&self) -> Result<String> {
        let before = self.caller.as_ref().map_or("", |caller| &caller.chain);
        let own = wire_name(&self.handler);
        let chain = match before {
            "" => own,
            before => format!("{before}{LINK}{own}"),
        };
        if chain.split(LINK).count() > MAX_CALL_DEPTH {
            return Err(too_deep(&chain));
        }
        Ok(chain)
    }
}

impl std::fmt::Display for CallScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.handler)
    }
}

/// The end of the id of a call that waits until `deadline`.
///
/// # Errors
/// When the call would make its chain too long.
pub(super) fn id_suffix(
    scope: Option<&CallScope>,
    trace: Option<&TraceContext>,
    deadline: Instant,
) -> Result<String> {
    let needed_until = scope.map_or(deadline, |scope| scope.needed_until(deadline));
    let millis = millis_until(needed_until, Instant::now());
    let chain = scope.map(CallScope::chain).transpose()?;
    Ok(match (chain, trace) {
        (None, None) => format!("{PART}{millis}"),
        (Some(chain), None) => format!("{PART}{millis}{PART}{chain}"),
        (chain, Some(trace)) => {
            let chain = chain.unwrap_or_default();
            format!("{PART}{millis}{PART}{chain}{PART}{}", trace.parent())
        }
    })
}

/// Rounds up: a call that still waits is never taken for one that does not.
fn millis_until(deadline: Instant, now: Instant) -> u64 {
    let nanos = deadline.saturating_duration_since(now).as_nanos();
    u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A handler's name without the characters that separate the parts of a channel and of an id.
fn wire_name(handler: &str) -> String {
    handler.replace(
        |c: char| matches!(c, PART | LINK | '#' | ':') || c.is_control() || c.is_whitespace(),
        "_",
    )
}

fn too_deep(chain: &str) -> Error {
    let chain = shortened(chain.replace(LINK, " → "));
    let text = format!(
        "more than {MAX_CALL_DEPTH} calls inside each other: {chain}; do these handlers call each other in a cycle?"
    );
    Error::new(ErrorKind::CallDepth, text).with_advice(Advice::Terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(handler: &str, id: &str) -> CallScope {
        CallScope::new(&handler.into(), Caller::parse(id), in_millis(5000))
    }

    fn in_millis(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_says_how_long_its_caller_waits_and_from_where_it_calls() {
        let first = id_suffix(None, None, in_millis(3000)).unwrap();
        assert_eq!(first, "~3000");
        let second = scope("A.x", "t-1~3000");
        assert_eq!(second.caller_waits_until(), Some(in_millis(3000)));
        let second = id_suffix(Some(&second), None, in_millis(2000)).unwrap();
        assert_eq!(second, "~2000~A.x");
        let third = scope("B.y", &format!("t-2{second}"));
        let third = id_suffix(Some(&third), None, in_millis(9000)).unwrap();
        assert_eq!(third, "~5000~A.x,B.y", "its handler ends before");
    }

    #[tokio::test(start_paused = true)]
    async fn the_span_of_a_call_travels_in_its_id() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::new(parent, None);
        for (scope, expected) in [(None, "~3000~~"), (Some(scope("A.x", "x")), "~3000~A.x~")] {
            let suffix = id_suffix(scope.as_ref(), trace.as_ref(), in_millis(3000)).unwrap();
            assert_eq!(suffix, format!("{expected}{parent}"));
            let caller = Caller::parse(&format!("t-1{suffix}")).unwrap();
            assert_eq!(caller.trace(), trace.as_ref());
        }
        assert_eq!(Caller::parse("t-1~3000~A.x~t1").unwrap().trace(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn ids_of_other_peers_tell_nothing() {
        for id in ["0123456789abcdef", "t-1", "t-1~", "t-1~soon", "~-1"] {
            assert!(Caller::parse(id).is_none(), "{id}");
        }
        let odd = scope("A#b~c,d:e f", "x");
        assert_eq!(
            id_suffix(Some(&odd), None, in_millis(1)).unwrap(),
            "~1~A_b_c_d_e_f"
        );
        assert_eq!(odd.caller_waits_until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_of_less_than_a_millisecond_is_a_wait() {
        let soon = Instant::now() + Duration::from_nanos(1);
        assert_eq!(id_suffix(None, None, soon).unwrap(), "~1");
        let caller = Caller::parse("t-1~1").unwrap();
        assert!(!caller.gave_up_by(soon));
        assert!(caller.gave_up_by(in_millis(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_has_sixteen_handlers_at_most() {
        let mut id = "t-1~3000".to_owned();
        for _ in 0..MAX_CALL_DEPTH {
            let suffix = id_suffix(Some(&scope("A.x", &id)), None, in_millis(1000)).unwrap();
            id = format!("t-2{suffix}");
        }
        let error = id_suffix(Some(&scope("B.y", &id)), None, in_millis(1000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CallDepth);
        assert_eq!(error.advice(), Advice::Terminal);
        let text = error.to_string();
        assert!(text.contains("A.x → A.x → B.y;"), "{text}");
    }
}
