//! Headers of a dead letter, if the driver supports headers. They are for information only and have no
//! effect on delivery.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{DeadReason, Message, shortened};

/// The [`DeadReason`](crate::DeadReason) as a word.
pub const DEAD_REASON: &str = "x-microagent-dead-reason";
/// The text of the error.
pub const DEAD_DETAIL: &str = "x-microagent-dead-detail";
/// The queue that the message was in.
pub const DEAD_QUEUE: &str = "x-microagent-dead-queue";
/// The number of attempts to handle the message, in decimal digits.
pub const DEAD_ATTEMPTS: &str = "x-microagent-dead-attempts";
/// The time of the message's first failure, in milliseconds since the Unix epoch. Missing if the driver
/// does not keep it over retries.
pub const DEAD_FIRST_AT: &str = "x-microagent-dead-first-at";
/// The time at which the message became a dead letter, which is the time of its last failure, in
/// milliseconds since the Unix epoch.
pub const DEAD_AT: &str = "x-microagent-dead-at";

/// Returns `true` if the header describes a dead letter. Such a header is removed when the message is
/// requeued.
///
/// ```
/// use microagent_core::header;
///
/// assert!(header::is_of_dead_letter(header::DEAD_REASON) && !header::is_of_dead_letter("trace"));
/// ```
#[must_use]
pub fn is_of_dead_letter(name: &str) -> bool {
    name.starts_with("x-microagent-dead-")
}

/// The most bytes, as [`size_of`] counts them, by which [`of_dead_letter`] makes the headers of a message larger,
/// for a queue whose name has up to 512 bytes.
pub const DEAD_LETTER_SIZE: usize = 3 * 1024;

/// Returns the size of headers: the bytes of all names and values, and 8 for each header.
///
/// ```
/// use microagent_core::header;
///
/// assert_eq!(header::size_of([("trace", "t1")]), 5 + 2 + 8);
/// ```
#[must_use]
pub fn size_of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> usize {
    let sizes = headers
        .into_iter()
        .map(|(name, value)| name.len() + value.len() + 8);
    sizes.sum()
}

/// Returns the headers of a message that becomes a dead letter now: its own headers and the reason. The detail is
/// [shortened](crate::shortened).
///
/// ```
/// use std::time::SystemTime;
/// use microagent_core::{DeadReason, Message, header};
///
/// let message = Message::new("mailer", "{}").with_attempt(4).with_header("trace", "t1");
/// let headers = header::of_dead_letter(&message, DeadReason::Failed, "smtp said no", SystemTime::UNIX_EPOCH);
/// assert_eq!(headers[0], ("trace".to_owned(), "t1".to_owned()));
/// assert!(headers.contains(&(header::DEAD_ATTEMPTS.to_owned(), "4".to_owned())));
/// ```
#[must_use]
pub fn of_dead_letter(
    message: &Message,
    reason: DeadReason,
    detail: &str,
    now: SystemTime,
) -> Vec<(String, String)> {
    let first = message
        .first_failure()
        .or_else(|| (message.attempt() == 1).then_some(now));
    let known = [
        (DEAD_REASON, Some(reason.as_str().to_owned())),
        (DEAD_DETAIL, Some(shortened(detail))),
        (DEAD_QUEUE, Some(message.queue().to_owned())),
        (DEAD_ATTEMPTS, Some(message.attempt().to_string())),
        (DEAD_FIRST_AT, first.map(millis)),
        (DEAD_AT, Some(millis(now))),
    ];
    let own = message
        .headers()
        .filter(|(name, _)| known.iter().all(|(dead, _)| dead != name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let dead = known
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
    own.chain(dead).collect()
}

fn millis(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn first_of(message: &Message) -> Option<String> {
        let now = UNIX_EPOCH + Duration::from_secs(9);
        let headers = of_dead_letter(message, DeadReason::Failed, "no", now);
        let mut first = headers
            .into_iter()
            .filter(|(name, _)| name == DEAD_FIRST_AT);
        let (_, value) = first.next()?;
        assert_eq!(first.next(), None, "it stands there once");
        Some(value)
    }

    #[test]
    fn the_first_failure_is_said_where_it_is_known() {
        let message = Message::new("mailer", "{}");
        assert_eq!(first_of(&message), Some("9000".into()), "it is this one");
        let again = message.with_attempt(2).with_header(DEAD_FIRST_AT, "1");
        assert_eq!(first_of(&again), None, "of another life");
        let known = again.with_first_failure(UNIX_EPOCH + Duration::from_secs(3));
        assert_eq!(first_of(&known), Some("3000".into()));
    }

    #[test]
    fn a_dead_letter_adds_a_limited_number_of_bytes() {
        let message = Message::new("q".repeat(512), "{}").with_attempt(u32::MAX);
        let now = UNIX_EPOCH + Duration::from_secs(1 << 40);
        let message = message.with_first_failure(now);
        let detail = "\u{1F4EE}".repeat(1 << 20);
        let headers = of_dead_letter(&message, DeadReason::Undecodable, &detail, now);
        let size = size_of(headers.iter().map(|(name, value)| (&**name, &**value)));
        assert!(size <= DEAD_LETTER_SIZE, "{size}");
    }
}
