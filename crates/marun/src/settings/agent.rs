//! `[agent.NAME]`: the settings of a member, which is an agent or a command.

use std::{collections::BTreeMap, time::Duration};

use microagent_schema::suggest::unknown;

use super::{
    handler::HandlerSettings,
    node::{Node, Value},
    place::Place,
    problems::{Problems, SettingsError},
    restart::Restart,
    section::{Located, Section, into_string, into_strings},
};

/// The default of `ready_timeout`: the time in which an agent must become ready.
pub const DEFAULT_READY_TIMEOUT: Duration = Duration::from_secs(30);

/// The default of `grace`: the time in which an agent must stop.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// The default of `watchdog`: the time that the runtime of an agent may be blocked.
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

/// The settings of a member: `[agent.NAME]`.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The place of the table.
    pub place: Place,
    /// The agent or command.
    pub member: Member,
    /// The time in which it must stop before it is killed. Default: [`DEFAULT_GRACE`].
    pub grace: Duration,
    /// The time in which it must become ready. Default: [`DEFAULT_READY_TIMEOUT`].
    pub ready_timeout: Duration,
    /// The time that its runtime may be blocked before it is killed; `None` switches this off.
    /// Default: [`DEFAULT_WATCHDOG`].
    pub watchdog: Option<Duration>,
    /// The restart policy.
    pub restart: Restart,
    /// The settings that the agent reads with `cx.settings()`: a JSON object.
    pub settings: serde_json::Value,
    /// The places of these values, by their keys in `settings`. The empty key is the place of the
    /// whole object.
    pub(crate) settings_places: BTreeMap<String, String>,
    /// The options of its handlers, by handler name. They override those of the attributes.
    pub handlers: BTreeMap<String, HandlerSettings>,
    /// The time zone of its cron tasks that do not set one.
    pub tz: Option<Located<String>>,
}

/// A member of the group.
#[derive(Clone, Debug)]
pub enum Member {
    /// An agent of a MicroAgent program.
    Agent {
        /// The agent type.
        backend: Located<String>,
        /// The name of its bus in this file.
        bus: Option<Located<String>>,
        /// The name of its broker in this file.
        broker: Option<Located<String>>,
    },
    /// Any program, with its arguments.
    Command(Located<Vec<String>>),
}

/// The names of buses and brokers in a file, including those with problems.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) buses: Vec<String>,
    pub(super) brokers: Vec<String>,
}

/// The keys that only an agent supports.
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
    /// Reads the table of an agent. If a value is wrong, the agent has the default in its place, so
    /// that the rest of it can be checked against its program; nothing is returned if that would
    /// find consequences of the problem.
    pub(super) fn from_node(node: Node, names: &Names, problems: &mut Problems) -> Option<Self> {
        let mut section = problems.keep(Section::open(node, KEYS))?;
        let place = section.place().clone();
        section.keep(check_agent_name(&place));
        let member = read_member(&mut section, names);
        let is_command = matches!(member, Some(Member::Command(_)));
        let watchdog = match section.duration("watchdog") {
            Some(Duration::ZERO) => None,
            _ if is_command => None,
            watchdog => Some(watchdog.unwrap_or(DEFAULT_WATCHDOG)),
        };
        let ready_timeout = section.duration("ready_timeout");
        let grace = section.duration("grace");
        let restart = section.take("restart").map(Restart::from_node);
        let restart = restart.and_then(|restart| section.keep(restart));
        let (settings, lines) = settings(&mut section);
        let (handlers, tz) = (HandlerSettings::all(&mut section), section.string("tz"));
        let can_be_checked = !section.has_unknown_keys();
        problems.extend(section.into_problems());
        member.filter(|_| can_be_checked).map(|member| Self {
            place,
            member,
            grace: grace.unwrap_or(DEFAULT_GRACE),
            ready_timeout: ready_timeout.unwrap_or(DEFAULT_READY_TIMEOUT),
            watchdog,
            restart: restart.unwrap_or_default(),
            settings,
            settings_places: lines,
            handlers,
            tz,
        })
    }
}

/// Reads `backend` with its bus and broker, or `command`.
fn read_member(section: &mut Section, names: &Names) -> Option<Member> {
    let (backend, command) = (section.take("backend"), section.take("command"));
    if let (None, Some(command)) = (&backend, command.as_ref()) {
        refuse_agent_keys(section);
        return section
            .keep(into_strings(command.clone()))
            .map(Member::Command);
    }
    let has = (section.has("bus"), section.has("broker"));
    let (bus, broker) = (section.string("bus"), section.string("broker"));
    let is_read = has == (bus.is_some(), broker.is_some());
    section.keep(check_reference("bus", bus.as_ref(), &names.buses));
    section.keep(check_reference("broker", broker.as_ref(), &names.brokers));
    match (backend, command) {
        (_, Some(command)) => {
            let message = "an agent has either a `backend` or a `command`, not both";
            section.keep(Err(command.place.error(message)))
        }
        (None, None) => {
            section.missing("missing key `backend` or `command`");
            None
        }
        (Some(backend), None) => {
            let backend = section.keep(into_string(backend))?;
            is_read.then_some(Member::Agent {
                backend,
                bus,
                broker,
            })
        }
    }
}

fn refuse_agent_keys(section: &mut Section) {
    for key in AGENT_ONLY {
        if let Some(node) = section.take(key) {
            section.keep::<()>(Err(node.place.error(
                "not supported with `command` (available: `command`, `grace`, `restart`)",
            )));
        }
    }
}

/// Reads the table `settings`, and the place of each of its values by the key that the agent knows.
fn settings(section: &mut Section) -> (serde_json::Value, BTreeMap<String, String>) {
    let Some(node) = section.take("settings") else {
        return (serde_json::json!({}), BTreeMap::new());
    };
    if !matches!(node.value, Value::Table(_)) {
        section.keep::<()>(Err(node.place.error("must be a table")));
    }
    let mut places = BTreeMap::new();
    let prefix = node.place.key().len();
    node.visit(&mut |node| {
        let key = node.place.key()[prefix..].trim_start_matches('.');
        places.insert(key.to_owned(), node.place.to_string());
    });
    (node.into_json(), places)
}

fn check_reference(
    kind: &str,
    reference: Option<&Located<String>>,
    known: &[String],
) -> Result<(), SettingsError> {
    let Some(Located { value, place }) = reference else {
        return Ok(());
    };
    if known.contains(value) {
        return Ok(());
    }
    Err(place.error(unknown(kind, value, known.iter().map(String::as_str))))
}

/// Checks the name, which is written before each line of the log; `marun` is the name in the
/// launcher's own lines.
fn check_agent_name(place: &Place) -> Result<(), SettingsError> {
    let name = place.key().trim_start_matches("agent.");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(
            place.error("invalid agent name: expected up to 64 letters, digits, `_`, `-` and `.`")
        );
    }
    if name == "marun" {
        return Err(place.error("invalid agent name `marun`: the launcher itself uses it"));
    }
    Ok(())
}
