//! The messages between supervisor and member. They are sent over a socket that is the member's
//! standard input.
//!
//! A message is one JSON value per line. The supervisor sends the assignment, and then questions. The
//! member sends reports: whether it is ready, heartbeats, and its status as the answer to a question.
//! The end of the socket means that the other
//! side is gone. Passwords are sent here, not in arguments or variables, which other users of the
//! machine can read.

use std::{collections::BTreeMap, fmt, time::Duration};

use microagent_core::status::Status;
use microagent_schema::redacted;
use serde::{Deserialize, Serialize};

use crate::logging::LogFormat;

/// The version of the messages between a launcher and programs of other builds.
pub(crate) const PROTOCOL: u32 = 2;

/// The assignment of an agent.
#[derive(Serialize, Deserialize)]
pub(crate) struct AgentAssignment {
    /// The agent type, one of those in its program.
    pub(crate) backend: String,
    /// The bus.
    pub(crate) bus: Option<BusLink>,
    /// The broker.
    pub(crate) broker: Option<BrokerLink>,
    /// The text of the declarations, as the launcher has read it, so that all agents use the same
    /// version.
    pub(crate) declarations: Option<String>,
    /// The settings that the agent reads with `cx.settings()`.
    pub(crate) settings: serde_json::Value,
    /// The places of these values in the settings file, by their keys.
    #[serde(default)]
    pub(crate) settings_places: BTreeMap<String, String>,
    /// The options of its handlers, by handler name.
    pub(crate) handlers: serde_json::Value,
    /// The time zone of its cron tasks that do not set one.
    pub(crate) zone: Option<String>,
    /// The time in which it must stop.
    pub(crate) grace: Duration,
    /// The time without a heartbeat after which it is killed.
    pub(crate) watchdog: Option<Duration>,
    /// The format of its log.
    pub(crate) log: LogFormat,
}

/// The address of a bus, and how to use it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BusLink {
    pub(crate) dsn: String,
    pub(crate) prefix: Option<String>,
    pub(crate) strict: bool,
}

/// The address of a broker.
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

/// The assignment of a program without agents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandAssignment {
    /// The program, then its arguments.
    pub(crate) command: Vec<String>,
}

/// A question to a member. A member that does not know it ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// It sends [`Report::Status`]. One answer may stand for several questions.
    Status,
}

/// A report of a member: one of the first two, heartbeats after it is ready, and answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// It receives and consumes, and its connections are established.
    Ready,
    /// It cannot start, for this reason.
    Failed(String),
    /// A heartbeat: its runtime still runs tasks.
    Alive,
    /// The answer to [`Question::Status`].
    Status(Box<Status>),
}

/// Returns a message as a line, with its newline.
pub(crate) fn line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_passwords() {
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
