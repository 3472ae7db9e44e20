//! `[agent.NAME]`: a member of the group, an agent of a program or a program of another kind. It looks for neither.

use std::{collections::BTreeMap, time::Duration};

use super::{
    handler::HandlerSettings,
    node::Node,
    place::{Place, SettingsError},
    restart::Restart,
    section::{Located, Section},
};

/// How long an agent may take to become ready, unless its `ready_timeout` says otherwise.
pub const DEFAULT_READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an agent may drain, unless its `grace` says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// How long an agent's runtime may be blocked, unless its `watchdog` says otherwise.
pub const DEFAULT_WATCHDOG: Duration = Duration::from_secs(30);

pub(super) const KEYS: &[&str] = &[
    "backend",
    "command",
    "bus",
    "broker",
    "settings",
    "handlers",
    "tz",
    "grace",
    "ready_timeout",
    "watchdog",
    "restart",
];

/// `[agent.NAME]`
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The agent's table.
    pub place: Place,
    /// What runs.
    pub member: Member,
    /// How long it may drain before it is killed.
    pub grace: Duration,
    /// How long it may take to become ready.
    pub ready_timeout: Duration,
    /// How long its runtime may be blocked before it is killed; none where nobody watches.
    pub watchdog: Option<Duration>,
    /// What becomes of it when it has ended.
    pub restart: Restart,
    /// What the agent reads with `cx.settings()`: a JSON object.
    pub settings: serde_json::Value,
    /// Options of its handlers by their names, over those of the attributes.
    pub handlers: BTreeMap<String, HandlerSettings>,
    /// The zone of its cron tasks that name none.
    pub tz: Option<Located<String>>,
}

/// What a member of the group is.
#[derive(Clone, Debug)]
pub enum Member {
    /// An agent of a MicroAgent program.
    Agent {
        /// The agent's type.
        backend: Located<String>,
        /// The name of its bus in this file.
        bus: Option<Located<String>>,
        /// The name of its broker in this file.
        broker: Option<Located<String>>,
    },
    /// Any program, with its arguments.
    Command(Located<Vec<String>>),
}

/// Keys that mean nothing to a program of another kind, which would not see them.
const AGENT_ONLY: [&str; 7] = [
    "bus",
    "broker",
    "settings",
    "handlers",
    "tz",
    "ready_timeout",
    "watchdog",
];

impl AgentSettings {
    pub(super) fn from_node(node: Node) -> Result<Self, SettingsError> {
        check_agent_name(&node.place)?;
        let mut section = Section::open(node, KEYS)?;
        let place = section.place().clone();
        let member = match (section.string("backend")?, section.strings("command")?) {
            (Some(backend), None) => Member::Agent {
                backend,
                bus: section.string("bus")?,
                broker: section.string("broker")?,
            },
            (None, Some(command)) => {
                refuse_agent_keys(&mut section)?;
                Member::Command(command)
            }
            (Some(_), Some(command)) => {
                let message = "an agent has either a `backend` or a `command`, not both";
                return Err(command.place.error(message));
            }
            (None, None) => {
                let message = "one of the keys `backend` and `command` is needed";
                return Err(place.error(message));
            }
        };
        let watchdog = match (section.duration("watchdog")?, &member) {
            (Some(Duration::ZERO), _) | (_, Member::Command(_)) => None,
            (watchdog, Member::Agent { .. }) => Some(watchdog.unwrap_or(DEFAULT_WATCHDOG)),
        };
        let ready_timeout = section.duration("ready_timeout")?;
        Ok(Self {
            place,
            member,
            grace: section.duration("grace")?.unwrap_or(DEFAULT_GRACE),
            ready_timeout: ready_timeout.unwrap_or(DEFAULT_READY_TIMEOUT),
            watchdog,
            restart: restart(&mut section)?,
            settings: settings(&mut section)?,
            handlers: HandlerSettings::all(&mut section)?,
            tz: section.string("tz")?,
        })
    }
}

fn refuse_agent_keys(section: &mut Section) -> Result<(), SettingsError> {
    match AGENT_ONLY.iter().find_map(|key| section.take(key)) {
        None => Ok(()),
        Some(node) => Err(node.place.error(
            "not allowed beside `command`: the program would not see it; allowed: command, grace, restart",
        )),
    }
}

fn restart(section: &mut Section) -> Result<Restart, SettingsError> {
    let restart = section.take("restart").map(Restart::from_node);
    Ok(restart.transpose()?.unwrap_or_default())
}

fn settings(section: &mut Section) -> Result<serde_json::Value, SettingsError> {
    let Some(node) = section.take("settings") else {
        return Ok(serde_json::json!({}));
    };
    let place = node.place.clone();
    let settings = node.into_json();
    match settings.is_object() {
        true => Ok(settings),
        false => Err(place.error("must be a table")),
    }
}

/// The name stands before each line of the log, and `marun` signs its own lines.
fn check_agent_name(place: &Place) -> Result<(), SettingsError> {
    let name = place.key().trim_start_matches("agent.");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(place.error(
            "this is no name for an agent; allowed are up to 64 letters, digits, `_`, `-` and `.`",
        ));
    }
    if name == "marun" {
        return Err(place.error("the name `marun` is taken by the launcher itself"));
    }
    Ok(())
}
