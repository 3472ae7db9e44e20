//! The settings of a deployment: which agents run, and what bus and broker each of them gets.
//!
//! A file is read in this order: format (`toml.rs`, `json.rs`) → tree of values with places (`node.rs`) →
//! environment (`expand.rs`) → keys (`section.rs`, this file). Nothing here looks for programs, connects,
//! or reads another file; that is `plan`.

mod expand;
mod json;
mod node;
mod place;
mod section;
mod suggest;
mod toml;

use std::{collections::BTreeMap, path::Path, time::Duration};

use self::node::Node;
use self::section::Section;
pub(crate) use self::{expand::Environment, suggest::allowed};
pub use self::{
    place::{Place, SettingsError},
    section::Located,
};

/// How long an agent may take to become ready, unless its `ready_timeout` says otherwise.
pub const DEFAULT_READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an agent may drain, unless its `grace` says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

const TOP_KEYS: &[&str] = &["declarations", "program", "bus", "broker", "agent"];
const BUS_KEYS: &[&str] = &["dsn", "prefix", "strict"];
const BROKER_KEYS: &[&str] = &["dsn"];
const AGENT_KEYS: &[&str] = &[
    "backend",
    "command",
    "bus",
    "broker",
    "settings",
    "grace",
    "ready_timeout",
];

/// One settings file, its environment variables replaced and its keys checked.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use marun::Settings;
///
/// let text = r#"
///     [broker.main]
///     dsn = "local:queues"
///
///     [agent.email_agent]
///     backend  = "EmailAgent"
///     broker   = "main"
///     settings = { from = "robot@lwr.pw" }
/// "#;
/// let settings = Settings::parse("settings.toml".as_ref(), text)?;
/// assert_eq!(settings.agents["email_agent"].settings["from"], "robot@lwr.pw");
///
/// let error = Settings::parse("settings.toml".as_ref(), "[agent.x]\nbakend = 'X'").unwrap_err();
/// assert!(error.to_string().starts_with(
///     "settings.toml:2: agent.x.bakend: unknown key; did you mean `backend`? allowed: backend, command,"
/// ));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file as a whole; relative paths start from its folder.
    pub place: Place,
    /// Path or URL of `signals.json`.
    pub declarations: Option<Located<String>>,
    /// The binary that contains the agents: a path, or a bare name.
    pub program: Option<Located<String>>,
    /// The signal buses by their name in this file.
    pub buses: BTreeMap<String, BusSettings>,
    /// The queue brokers by their name in this file.
    pub brokers: BTreeMap<String, BrokerSettings>,
    /// The agents by their name in the deployment group.
    pub agents: BTreeMap<String, AgentSettings>,
}

/// `[bus.NAME]`
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// Where the bus is; it may hold a password.
    pub dsn: Located<String>,
    /// The first part of every channel.
    pub prefix: Option<Located<String>>,
    /// Whether undeclared or missing arguments are errors instead of warnings.
    pub strict: Option<bool>,
}

/// `[broker.NAME]`
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// Where the broker is; it may hold a password.
    pub dsn: Located<String>,
}

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
    /// What the agent reads with `cx.settings()`: a JSON object.
    pub settings: serde_json::Value,
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

impl Settings {
    /// Reads a file: `.toml` or `.json`.
    ///
    /// # Errors
    /// A [`SettingsError`] for a file that cannot be read or is not as described at [`Settings::parse`].
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Place::top(path).error(format!("cannot read the settings: {error}"))
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; the path tells the format and is named in errors.
    ///
    /// # Errors
    /// A [`SettingsError`] that names file, line (for TOML) and key, what is wrong and what is allowed.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        Self::parse_with(path, text, &|name| std::env::var(name).ok())
    }

    fn parse_with(
        path: &Path,
        text: &str,
        environment: Environment<'_>,
    ) -> Result<Self, SettingsError> {
        let top = Place::top(path);
        let mut node = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::parse(text, &top)?,
            Some("json") => json::parse(text, &top)?,
            _ => return Err(top.error("unknown format; allowed: .toml, .json")),
        };
        node.change_strings(&|place, text| expand::expand(text, place, environment))?;
        let settings = Self::from_node(node)?;
        settings.check_references()?;
        Ok(settings)
    }

    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, TOP_KEYS)?;
        let settings = Self {
            declarations: section.string("declarations")?,
            program: section.string("program")?,
            buses: named(section.tables("bus")?, BusSettings::from_node)?,
            brokers: named(section.tables("broker")?, BrokerSettings::from_node)?,
            agents: named(section.tables("agent")?, AgentSettings::from_node)?,
            place: section.place().clone(),
        };
        if settings.agents.is_empty() {
            return Err(settings
                .place
                .error("there is no agent; at least one table `[agent.NAME]` is needed"));
        }
        Ok(settings)
    }

    /// Each agent's bus and broker are among those of this file.
    fn check_references(&self) -> Result<(), SettingsError> {
        for agent in self.agents.values() {
            if let Member::Agent { bus, broker, .. } = &agent.member {
                check_reference("bus", bus.as_ref(), self.buses.keys())?;
                check_reference("broker", broker.as_ref(), self.brokers.keys())?;
            }
        }
        Ok(())
    }
}

fn named<T>(
    tables: Vec<(String, Node)>,
    read: impl Fn(Node) -> Result<T, SettingsError>,
) -> Result<BTreeMap<String, T>, SettingsError> {
    tables
        .into_iter()
        .map(|(name, node)| Ok((name, read(node)?)))
        .collect()
}

fn check_reference<'a>(
    kind: &str,
    reference: Option<&Located<String>>,
    known: impl Iterator<Item = &'a String>,
) -> Result<(), SettingsError> {
    let Some(Located { value, place }) = reference else {
        return Ok(());
    };
    let known: Vec<&str> = known.map(String::as_str).collect();
    if known.contains(&value.as_str()) {
        return Ok(());
    }
    let none = format!("this file has no `[{kind}.NAME]`");
    let allowed = allowed(value, known, &none);
    Err(place.error(format!("there is no {kind} `{value}`; {allowed}")))
}

impl BusSettings {
    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, BUS_KEYS)?;
        Ok(Self {
            dsn: section.required("dsn")?,
            prefix: section.string("prefix")?,
            strict: section.flag("strict")?,
        })
    }
}

impl BrokerSettings {
    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, BROKER_KEYS)?;
        Ok(Self {
            dsn: section.required("dsn")?,
        })
    }
}

impl AgentSettings {
    fn from_node(node: Node) -> Result<Self, SettingsError> {
        check_agent_name(&node.place)?;
        let mut section = Section::open(node, AGENT_KEYS)?;
        let place = section.place().clone();
        let grace = section.duration("grace")?.unwrap_or(DEFAULT_GRACE);
        let backend = section.string("backend")?;
        let command = section.strings("command")?;
        match (backend, command) {
            (Some(backend), None) => Self::agent(section, place, grace, backend),
            (None, Some(command)) => Self::command(section, place, grace, command),
            (Some(_), Some(command)) => Err(command
                .place
                .error("an agent has either a `backend` or a `command`, not both")),
            (None, None) => Err(place.error("one of the keys `backend` and `command` is needed")),
        }
    }

    fn agent(
        mut section: Section,
        place: Place,
        grace: Duration,
        backend: Located<String>,
    ) -> Result<Self, SettingsError> {
        let ready_timeout = section.duration("ready_timeout")?;
        let settings = match section.take("settings") {
            None => serde_json::json!({}),
            Some(node) => {
                let place = node.place.clone();
                let settings = node.into_json();
                if !settings.is_object() {
                    return Err(place.error("must be a table"));
                }
                settings
            }
        };
        Ok(Self {
            place,
            member: Member::Agent {
                backend,
                bus: section.string("bus")?,
                broker: section.string("broker")?,
            },
            grace,
            ready_timeout: ready_timeout.unwrap_or(DEFAULT_READY_TIMEOUT),
            settings,
        })
    }

    /// A program of another kind reads nothing of ours, so it gets no settings that nobody would read.
    fn command(
        mut section: Section,
        place: Place,
        grace: Duration,
        command: Located<Vec<String>>,
    ) -> Result<Self, SettingsError> {
        for key in ["bus", "broker", "settings", "ready_timeout"] {
            if let Some(node) = section.take(key) {
                let message = "not allowed beside `command`: the program would not see it; allowed: command, grace";
                return Err(node.place.error(message));
            }
        }
        Ok(Self {
            place,
            member: Member::Command(command),
            grace,
            ready_timeout: DEFAULT_READY_TIMEOUT,
            settings: serde_json::Value::Null,
        })
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

#[cfg(test)]
mod tests;
