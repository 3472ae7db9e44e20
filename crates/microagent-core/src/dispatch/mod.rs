//! From bytes to a handler and from its result to a settlement: one path for all drivers.

pub(crate) mod consume;
pub(crate) mod flow;
pub(crate) mod outcome;
pub(crate) mod receive;
pub(crate) mod run;

/// The start of a body, for a log line that must stay short and must not fail on broken text.
pub(crate) fn excerpt(body: &[u8]) -> String {
    const LIMIT: usize = 120;
    let start = String::from_utf8_lossy(&body[..body.len().min(LIMIT)]);
    if body.len() <= LIMIT {
        return start.into_owned();
    }
    format!("{start}… ({} bytes)", body.len())
}
