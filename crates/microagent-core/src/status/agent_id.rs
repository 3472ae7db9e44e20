//! The name of an agent's process on a bus, which is a part of a channel's name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// An agent on a bus: its name, its process and its machine.
///
/// As text it is `{agent}/{pid}/{host}/{key}`, in which `%` and two digits stand for each byte that is not a letter, a digit, `-`, `_`
/// or `.`.
///
/// ```
/// use microagent_core::status::AgentId;
///
/// let id: AgentId = "mailer/4711/shop-1/07f3".parse()?;
/// assert_eq!((id.agent.as_str(), id.pid, id.host.as_str()), ("mailer", 4711, "shop-1"));
/// assert_eq!(id.to_string(), "mailer/4711/shop-1/07f3");
/// # Ok::<(), microagent_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub struct AgentId {
    /// The agent's name in its group.
    pub agent: String,
    /// The number of its process.
    pub pid: u32,
    /// The name of its machine; empty if it is not known.
    pub host: String,
    /// A text that no other start of an agent has.
    pub key: String,
}

impl AgentId {
    /// Creates the name of an agent that starts in this process.
    pub(super) fn of_this_process(agent: &str, host: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            pid: std::process::id(),
            host: host.to_owned(),
            key: format!("{:016x}", fastrand::u64(..)),
        }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_encoded(f, &self.agent)?;
        write!(f, "/{}/", self.pid)?;
        write_encoded(f, &self.host)?;
        f.write_str("/")?;
        write_encoded(f, &self.key)
    }
}

fn write_encoded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02x}")?;
        }
    }
    Ok(())
}

impl FromStr for AgentId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('/');
        let mut next = || decoded(parts.next()?);
        let id = (|| {
            Some(Self {
                agent: next()?,
                pid: next()?.parse().ok()?,
                host: next()?,
                key: next()?,
            })
        })();
        id.filter(|_| parts.next().is_none()).ok_or_else(|| {
            let text = format!("invalid agent {text:?}: expected `agent/pid/host/key`");
            Error::new(ErrorKind::InvalidPayload, text)
        })
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for AgentId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_name_survives_the_channel(agent in ".{0,12}", host in ".{0,12}", pid in any::<u32>()) {
            let id = AgentId { agent, pid, host, key: "1".to_owned() };
            let text = id.to_string();
            prop_assert!(!text.contains(['*', '#', ':', '?', '[', '\\']), "{text}");
            prop_assert_eq!(text.parse::<AgentId>().unwrap(), id);
        }

        #[test]
        fn any_other_text_is_refused_or_read(text in r"[a%/0-9]{0,20}") {
            if let Ok(id) = text.parse::<AgentId>() {
                prop_assert_eq!(id.to_string().parse::<AgentId>().unwrap(), id);
            }
        }
    }

    #[test]
    fn a_text_with_missing_or_additional_parts_is_refused() {
        for text in [
            "",
            "a",
            "a/1/h",
            "a/1/h/k/x",
            "a/b/h/k",
            "a%/1/h/k",
            "a%ff/1/h/k",
        ] {
            assert_eq!(
                text.parse::<AgentId>().unwrap_err().kind(),
                ErrorKind::InvalidPayload,
                "{text}"
            );
        }
    }
}
