//! The channel grammar, shared with every Python peer: `{prefix}:{signal}:{sender}` and, for a call, `#{id}`.
//!
//! No other module of the project builds or parses a channel name.

use std::fmt;

use microagent_schema::names;

use crate::{Error, ErrorKind, Result};

/// The prefix of a deployment that does not set one.
pub const DEFAULT_PREFIX: &str = "PUBSUB";
/// The internal signal that carries answers.
pub(crate) const RESPONSE: &str = "response";
/// The internal signal that carries questions about the status of agents, and the answers.
const STATUS: &str = "status";

/// A parsed channel name.
///
/// ```
/// use microagent_core::Channel;
///
/// let channel = Channel::parse("PUBSUB:user_created:web#t-1").unwrap();
/// assert_eq!((channel.signal, channel.sender, channel.id), ("user_created", "web", Some("t-1")));
/// assert_eq!(channel.to_string(), "PUBSUB:user_created:web#t-1");
/// assert!(Channel::parse("PUBSUB:user_created:web:x").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channel<'a> {
    /// The deployment's prefix.
    pub prefix: &'a str,
    /// The signal's name.
    pub signal: &'a str,
    /// The sender of the signal; for an answer, the uid of the bus that answers.
    pub sender: &'a str,
    /// The id of the call that the signal belongs to.
    pub id: Option<&'a str>,
}

impl<'a> Channel<'a> {
    /// Parses a channel name. Returns `None` for a name that no peer should have sent.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let (path, id) = match name.split_once('#') {
            Some((path, id)) if !id.is_empty() && !id.contains('#') => (path, Some(id)),
            Some(_) => return None,
            None => (name, None),
        };
        let mut parts = path.split(':');
        let channel = Self {
            prefix: parts.next()?,
            signal: parts.next()?,
            sender: parts.next()?,
            id,
        };
        parts.next().is_none().then_some(channel)
    }

    /// Returns the pattern that matches a signal from every sender, calls included.
    #[must_use]
    pub fn pattern_of(prefix: &str, signal: &str) -> String {
        format!("{prefix}:{signal}:*")
    }

    /// Returns the pattern that matches the answers to the calls of one bus. The ids of these calls all start with the
    /// bus's token.
    #[must_use]
    pub fn answers_to(prefix: &str, token: &str) -> String {
        format!("{prefix}:{RESPONSE}:*#{token}-*")
    }

    /// Returns the channel on which agents are asked for their status.
    pub(crate) fn status_questions(prefix: &str) -> String {
        format!("{prefix}:{STATUS}:ask")
    }

    /// Returns the channel on which agents answer with their status.
    pub(crate) fn status_answers(prefix: &str) -> String {
        format!("{prefix}:{STATUS}:answer")
    }

    /// Returns the part that the channels of all agents begin with. Each agent subscribes to one, whose name says which
    /// agent it is, and nobody publishes there.
    pub(crate) fn status_agents(prefix: &str) -> String {
        format!("{prefix}:{STATUS}:agent#")
    }
}

impl fmt::Display for Channel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.prefix, self.signal, self.sender)?;
        match self.id {
            Some(id) => write!(f, "#{id}"),
            None => Ok(()),
        }
    }
}

/// Rejects a sender whose name would make a peer stop receiving the signal.
///
/// # Errors
/// [`ErrorKind::InvalidName`], with the name and the characters that are not allowed.
pub(crate) fn check_sender(name: &str) -> Result<()> {
    names::check_sender(name).map_err(invalid)
}

/// Rejects a prefix that would make a peer stop receiving signals.
///
/// # Errors
/// [`ErrorKind::InvalidName`], with the name and the characters that are not allowed.
pub(crate) fn check_prefix(name: &str) -> Result<()> {
    names::check_prefix(name).map_err(invalid)
}

fn invalid(error: names::NameError) -> Error {
    Error::new(ErrorKind::InvalidName, error.to_string())
}

/// Returns true if a channel name matches a subscription's pattern, in which `*` stands for any text.
///
/// ```
/// assert!(microagent_core::pattern_matches("P:response:*#t-*", "P:response:uid#t-7"));
/// assert!(!microagent_core::pattern_matches("P:user_created:*", "P:user_created_not:x"));
/// ```
#[must_use]
pub fn pattern_matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest_of_pattern)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(head) else {
        return false;
    };
    while let Some((middle, tail)) = rest_of_pattern.split_once('*') {
        let Some(at) = rest.find(middle) else {
            return false;
        };
        rest = &rest[at + middle.len()..];
        rest_of_pattern = tail;
    }
    rest.ends_with(rest_of_pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_characters_are_refused_in_names() {
        for name in ["", "a:b", "a#b", "a#b#c", "a\nb"] {
            assert_eq!(
                check_sender(name).unwrap_err().kind(),
                ErrorKind::InvalidName
            );
        }
        for name in ["user_agent", "Web-1", "é", "a*", "a?", "web[1]", "a\\b"] {
            assert!(check_sender(name).is_ok());
        }
    }

    #[test]
    fn strange_channels_are_refused_not_misread() {
        for name in ["", "a", "a:b", "a:b:c:d", "a:b:c#", "a:b:c#1#2", "#1"] {
            assert_eq!(Channel::parse(name), None, "{name}");
        }
    }

    #[test]
    fn stars_match_any_text() {
        assert!(pattern_matches("a*c*e", "abcde"));
        assert!(pattern_matches("a*", "a"));
        assert!(!pattern_matches("a*a", "a"));
        assert!(!pattern_matches("ab", "abc"));
    }
}
