//! The settings of a deployment group: its agents, buses and brokers.
//!
//! A file is read in these steps: parse TOML or JSON (`toml.rs`, `json.rs`) into a tree of values
//! with places (`node.rs`), replace environment variables (`expand.rs`), check the keys
//! (`section.rs` and this file). `plan` then finds programs and loads other files.

mod agent;
mod expand;
mod handler;
mod json;
mod node;
mod place;
mod problems;
mod restart;
mod section;
mod toml;
mod variables;

use std::{cell::RefCell, collections::BTreeMap, ffi::OsString, fmt, path::Path};

use microagent_schema::{decode_text, redacted, without_mark};

use self::agent::Names;
use self::node::Node;
use self::section::Section;
pub use self::{
    agent::{AgentSettings, DEFAULT_GRACE, DEFAULT_READY_TIMEOUT, DEFAULT_WATCHDOG, Member},
    handler::HandlerSettings,
    place::Place,
    problems::{SettingsError, SettingsProblem},
    restart::{Restart, RestartPolicy},
    section::Located,
};
use self::{expand::Environment, variables::NameAndValue};
pub(crate) use self::{problems::Problems, variables::Variables};

const TOP_KEYS: &[&str] = &["declarations", "program", "tz", "bus", "broker", "agent"];
const BUS_KEYS: &[&str] = &["dsn", "prefix", "strict"];
const BROKER_KEYS: &[&str] = &["dsn"];

/// The settings of one file, with environment variables replaced and keys checked.
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
///     "settings.toml:2: agent.x.bakend: unknown key; did you mean `backend`? (available: `backend`, `command`, "
/// ));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// The place of the file. Relative paths start at its folder.
    pub place: Place,
    /// Path or URL of `signals.json`.
    pub declarations: Option<Located<String>>,
    /// The binary that contains the agents: a path, or a bare name.
    pub program: Option<Located<String>>,
    /// The time zone of cron tasks that do not set one, if their agent does not set one either.
    pub tz: Option<Located<String>>,
    /// The signal buses, by their names in this file.
    pub buses: BTreeMap<String, BusSettings>,
    /// The queue brokers, by their names in this file.
    pub brokers: BTreeMap<String, BrokerSettings>,
    /// The agents, by their names in the deployment group.
    pub agents: BTreeMap<String, AgentSettings>,
    /// The environment variables that the file refers to.
    pub(crate) variables: Variables,
}

/// The settings of a bus: `[bus.NAME]`.
#[derive(Clone)]
pub struct BusSettings {
    /// The address of the bus, which may contain a password.
    pub dsn: Located<String>,
    /// The first part of every channel name.
    pub prefix: Option<Located<String>>,
    /// Undeclared or missing arguments are errors instead of warnings.
    pub strict: Option<bool>,
}

/// The settings of a broker: `[broker.NAME]`.
#[derive(Clone)]
pub struct BrokerSettings {
    /// The address of the broker, which may contain a password.
    pub dsn: Located<String>,
}

impl fmt::Debug for BusSettings {
    /// Formats the settings without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusSettings")
            .field("dsn", &redacted(&self.dsn.value))
            .field("prefix", &self.prefix)
            .field("strict", &self.strict)
            .finish()
    }
}

impl fmt::Debug for BrokerSettings {
    /// Formats the settings without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerSettings")
            .field("dsn", &redacted(&self.dsn.value))
            .finish()
    }
}

impl Settings {
    /// Reads a `.toml` or `.json` file.
    ///
    /// # Errors
    /// Returns a [`SettingsError`] if the file cannot be read, and for the problems described at
    /// [`Settings::parse`].
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        Self::parse(path, &read_text(path)?)
    }

    /// Parses the text of a file. The extension of the path selects the format, and errors contain
    /// the path. A byte order mark at the start of the text is ignored.
    ///
    /// # Errors
    /// Returns a [`SettingsError`] with every problem of the file: file, line (for TOML) and key,
    /// what is wrong, and what is expected or available.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        Self::parse_with(path, text, &environment)
    }

    /// Reads the valid parts of a file, which can be checked further, and adds the other parts to
    /// the problems. Returns `None` if a top-level key is invalid, because the rest depends on it.
    pub(crate) fn read_in_part(path: &Path, problems: &mut Problems) -> Option<Self> {
        let text = problems.keep(read_text(path))?;
        let mut found = Problems::default();
        let settings = Self::parse_in_part(path, &text, &environment, &mut found);
        let settings = settings.filter(|_| !found.concern_the_whole_file());
        problems.extend(found);
        settings
    }

    fn parse_with(
        path: &Path,
        text: &str,
        environment: Environment<'_>,
    ) -> Result<Self, SettingsError> {
        let mut problems = Problems::default();
        let settings = Self::parse_in_part(path, text, environment, &mut problems);
        problems
            .or_else(|| settings)?
            .ok_or_else(|| Place::top(path).error("cannot be read"))
    }

    fn parse_in_part(
        path: &Path,
        text: &str,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (top, text) = (Place::top(path), without_mark(text));
        let mut node = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::parse(text, &top, problems)?,
            Some("json") => problems.keep(json::parse(text, &top))?,
            _ => {
                return problems.keep(Err(
                    top.error("unknown format (available: `.toml`, `.json`)")
                ));
            }
        };
        let variables = expand_all(&mut node, environment, problems);
        let mut found = Problems::default();
        let settings = Self::from_node(node, variables, &mut found);
        problems.extend(found);
        let settings = settings?;
        if problems.is_empty() && settings.agents.is_empty() {
            let message = "missing agent: expected at least one table `[agent.NAME]`";
            return problems.keep(Err(settings.place.error(message)));
        }
        Some(settings)
    }

    fn from_node(node: Node, variables: Variables, problems: &mut Problems) -> Option<Self> {
        let mut section = problems.keep(Section::open(node, TOP_KEYS))?;
        let (buses, brokers) = (section.tables("bus"), section.tables("broker"));
        let names = Names {
            buses: buses.iter().map(|(name, _)| name.clone()).collect(),
            brokers: brokers.iter().map(|(name, _)| name.clone()).collect(),
        };
        let agents = section.tables("agent");
        let mut of_agents = Problems::default();
        let read_agent = |(name, node)| {
            Some((
                name,
                AgentSettings::from_node(node, &names, &mut of_agents)?,
            ))
        };
        let agents = agents.into_iter().filter_map(read_agent).collect();
        let settings = Self {
            declarations: section.string("declarations"),
            program: section.string("program"),
            tz: section.string("tz"),
            buses: named(buses, BusSettings::from_node, &mut section),
            brokers: named(brokers, BrokerSettings::from_node, &mut section),
            agents,
            place: section.place().clone(),
            variables,
        };
        problems.extend(section.into_problems());
        problems.extend(of_agents);
        Some(settings)
    }
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn read_text(path: &Path) -> Result<String, SettingsError> {
    let refused = |error: &dyn fmt::Display| {
        Place::top(path).error(format!("cannot read the settings: {error}"))
    };
    let bytes = std::fs::read(path).map_err(|error| refused(&error))?;
    decode_text(bytes).map_err(|error| refused(&error))
}

/// Replaces the variables in all strings, and returns them.
fn expand_all(node: &mut Node, environment: Environment<'_>, problems: &mut Problems) -> Variables {
    let mut variables = Variables::default();
    node.change_strings(&mut |place, text| {
        let looked_up: RefCell<Vec<NameAndValue>> = RefCell::default();
        let look_up = |name: &str| {
            let value = environment(name);
            let known = value.iter().map(|value| (name.to_owned(), value.clone()));
            looked_up.borrow_mut().extend(known);
            value
        };
        let expanded = problems.keep(expand::expand(text, place, &look_up))?;
        for (name, value) in looked_up.take() {
            variables.note(place, &name, &value, &expanded);
        }
        Some(expanded)
    });
    variables
}

/// Reads each of the tables. Invalid ones are left out and added to the problems of the section.
fn named<T>(
    tables: Vec<(String, Node)>,
    read: impl Fn(Node) -> Result<T, SettingsError>,
    section: &mut Section,
) -> BTreeMap<String, T> {
    tables
        .into_iter()
        .filter_map(|(name, node)| Some((name, section.keep(read(node))?)))
        .collect()
}

impl BusSettings {
    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, BUS_KEYS)?;
        let dsn = section.required("dsn");
        let (prefix, strict) = (section.string("prefix"), section.flag("strict"));
        section.finish(dsn.map(|dsn| Self {
            dsn,
            prefix,
            strict,
        }))
    }
}

impl BrokerSettings {
    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, BROKER_KEYS)?;
        let dsn = section.required("dsn");
        section.finish(dsn.map(|dsn| Self { dsn }))
    }
}

#[cfg(test)]
mod tests;
