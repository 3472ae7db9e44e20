//! A message on the server, with its record.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use microagent_core::Message;

/// A message as it comes out of the server.
#[derive(Debug, PartialEq)]
pub(super) struct StoredMessage {
    /// None while it waits in the list, where nothing accompanies a body.
    pub(super) id: Option<u64>,
    pub(super) meta: Meta,
    pub(super) body: Vec<u8>,
    /// Why it is a dead letter, as JSON.
    pub(super) why: Option<String>,
}

impl StoredMessage {
    pub(super) fn into_message(self, queue: &Arc<str>) -> Message {
        let mut message = Message::new(Arc::clone(queue), self.body);
        if let Some(id) = self.id {
            message = message.with_id(id.to_string());
        }
        if self.meta.attempt > 1 {
            message = message.with_attempt(self.meta.attempt);
        }
        if self.meta.crashes > 0 {
            message = message.with_crashes(self.meta.crashes);
        }
        if let Some(first) = self.meta.first_failure {
            message = message.with_first_failure(UNIX_EPOCH + Duration::from_millis(first));
        }
        let why: Option<Vec<(String, String)>> =
            self.why.and_then(|why| serde_json::from_str(&why).ok());
        for (name, value) in why.into_iter().flatten() {
            message = message.with_header(name, value);
        }
        message
    }
}

/// The record of a message that was handled before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    /// When a handling of it failed first, in ms since the Unix epoch.
    pub(super) first_failure: Option<u64>,
}

impl Meta {
    pub(super) const FIRST: Self = Self {
        attempt: 1,
        crashes: 0,
        first_failure: None,
    };

    pub(super) fn of(message: &Message) -> Self {
        Self {
            attempt: message.attempt(),
            crashes: message.crashes(),
            first_failure: message.first_failure().map(since_epoch),
        }
    }

    /// Returns the record for the case that the present attempt fails.
    pub(super) fn failed(self, now: SystemTime) -> Self {
        Self {
            attempt: self.attempt.saturating_add(1),
            first_failure: self.first_failure.or(Some(since_epoch(now))),
            ..self
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().ok());
        let mut number = || numbers.next().flatten();
        let (attempt, crashes, first_failure) = (number(), number(), number());
        let known = attempt.zip(crashes).and_then(|(attempt, crashes)| {
            Some(Self {
                attempt: attempt.try_into().ok()?,
                crashes: crashes.try_into().ok()?,
                first_failure,
            })
        });
        known.unwrap_or(Self::FIRST)
    }

    pub(super) fn to_text(self) -> String {
        let first = self.first_failure.map(|first| format!(" {first}"));
        format!(
            "{} {}{}",
            self.attempt,
            self.crashes,
            first.unwrap_or_default()
        )
    }
}

/// In ms since the Unix epoch.
fn since_epoch(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_message_survive_the_server() {
        let later = UNIX_EPOCH + Duration::from_millis(7);
        let failed = Meta::FIRST.failed(later);
        assert_eq!(failed.to_text(), "2 0 7");
        for meta in [
            Meta::FIRST,
            failed,
            failed.failed(later + Duration::from_secs(1)),
        ] {
            assert_eq!(Meta::parse(&meta.to_text()), meta);
        }
        assert_eq!(
            failed.failed(later + Duration::from_secs(1)).first_failure,
            Some(7)
        );
        assert_eq!(Meta::parse(""), Meta::FIRST);
    }
}
