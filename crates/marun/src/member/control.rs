//! What supervisor and member say to each other over the socket that is the member's standard input.
//!
//! One JSON object per line. The supervisor says one, the assignment; the member reports, and
//! then gives signs of life; the socket's end tells that the other side is gone. Passwords travel here and not in
//! arguments or variables, which other users of the machine may read.

use std::{collections::BTreeMap, fmt, time::Duration};

use microagent_schema::redacted;
use serde::{Deserialize, Serialize};

use crate::logging::LogFormat;

/// The version of everything that a launcher and a program of another build say to each other.
pub(crate) const PROTOCOL: u32 = 2;

/// What an agent is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct AgentAssignment {
    /// Its type, one of its program's.
    pub(crate) backend: String,
    /// Its bus.
    pub(crate) bus: Option<BusLink>,
    /// Its broker.
    pub(crate) broker: Option<BrokerLink>,
    /// The declarations of its settings file, as the launcher read them: no agent reads others than its neighbours.
    pub(crate) declarations: Option<String>,
    /// What it reads with `cx.settings()`.
    pub(crate) settings: serde_json::Value,
    /// The places of these values in the settings file, by their keys.
    #[serde(default)]
    pub(crate) settings_places: BTreeMap<String, String>,
    /// Options of its handlers, by their names.
    pub(crate) handlers: serde_json::Value,
    /// The zone of its cron tasks that name none.
    pub(crate) zone: Option<String>,
    /// How long it may drain.
    pub(crate) grace: Duration,
    /// After how long without a sign of life it is killed.
    pub(crate) watchdog: Option<Duration>,
    /// How it writes its log.
    pub(crate) log: LogFormat,
}

/// A bus as an agent connects to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BusLink {
    pub(crate) dsn: String,
    pub(crate) prefix: Option<String>,
    pub(crate) strict: bool,
}

/// A broker as an agent connects to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BrokerLink {
    pub(crate) dsn: String,
}

impl fmt::Debug for BusLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusLink")
            .field("dsn", &redacted(&self.dsn))
            .field("prefix", &self.prefix)
            .field("strict", &self.strict)
            .finish()
    }
}

impl fmt::Debug for BrokerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerLink")
            .field("dsn", &redacted(&self.dsn))
            .finish()
    }
}

/// What a program of another kind is turned into.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandAssignment {
    /// The program, then its arguments.
    pub(crate) command: Vec<String>,
}

/// What a member says: one of the first two, and signs of life after it is ready.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// It receives and consumes, and has reached its servers.
    Ready,
    /// It cannot start, because.
    Failed(String),
    /// Its runtime still runs tasks.
    Alive,
}

/// One line of the conversation, with its newline.
pub(crate) fn line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shown_a_password() {
        let dsn = "redis://shop:s3cret@db.example/7".to_owned();
        let bus = BusLink {
            dsn: dsn.clone(),
            prefix: None,
            strict: false,
        };
        let shown = format!("{bus:?} {:?}", BrokerLink { dsn });
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(shown.matches("redis://shop:***@db.example/7").count(), 2);
    }

    #[test]
    fn reports_are_lines() {
        assert_eq!(line(&Report::Ready).unwrap(), b"\"ready\"\n");
        let failed = Report::Failed("no\nway".to_owned());
        let text = line(&failed).unwrap();
        assert_eq!(text, b"{\"failed\":\"no\\nway\"}\n");
        assert_eq!(serde_json::from_slice::<Report>(&text).unwrap(), failed);
    }
}
