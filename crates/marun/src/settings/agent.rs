//! `[agent.NAME]`: a member of the group, an agent of a program or a program of another kind. It looks for neither.

use std::{collections::BTreeMap, time::Duration};

use super::{
    handler::HandlerSettings,
    node::{Node, Value},
    place::Place,
    problems::{Problems, SettingsError},
    restart::Restart,
    section::{Located, Section, into_string, into_strings},
    suggest::allowed,
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
    /// The places of these values by their keys in `settings`; the empty key is that of the whole.
    pub(crate) settings_places: BTreeMap<String, String>,
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

/// The names of buses and brokers in a file, be they well described or not.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) buses: Vec<String>,
    pub(super) brokers: Vec<String>,
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
    /// Reads the table of an agent. If a value is wrong, the agent has the default in its place, so that the rest of it can
    /// be checked against its program; nothing is returned if that would find consequences of the problem.
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

/// Reads what runs: `backend` with its bus and broker, or `command`.
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
            section.missing("one of the keys `backend` and `command` is needed");
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
                "not allowed beside `command`: the program would not see it; allowed: command, grace, restart",
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
    let none = format!("this file has no `[{kind}.NAME]`");
    let allowed = allowed(value, known.iter().map(String::as_str), &none);
    Err(place.error(format!("there is no {kind} `{value}`; {allowed}")))
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
