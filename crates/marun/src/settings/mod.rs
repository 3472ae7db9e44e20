//! The settings of a deployment: which agents run, and what bus and broker each of them gets.
//!
//! A file is read in this order: format (`toml.rs`, `json.rs`) → tree of values with places (`node.rs`) →
//! environment (`expand.rs`) → keys (`section.rs`, this file). Nothing here looks for programs, connects,
//! or reads another file; that is `plan`.

mod agent;
mod expand;
mod handler;
mod json;
mod node;
mod place;
mod problems;
mod restart;
mod section;
mod suggest;
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
use self::{expand::Environment, variables::LookedUp};
pub(crate) use self::{problems::Problems, suggest::allowed, variables::Variables};

const TOP_KEYS: &[&str] = &["declarations", "program", "tz", "bus", "broker", "agent"];
const BUS_KEYS: &[&str] = &["dsn", "prefix", "strict"];
const BROKER_KEYS: &[&str] = &["dsn"];

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
    /// The zone of cron tasks that name none, for the agents that name none either.
    pub tz: Option<Located<String>>,
    /// The signal buses by their name in this file.
    pub buses: BTreeMap<String, BusSettings>,
    /// The queue brokers by their name in this file.
    pub brokers: BTreeMap<String, BrokerSettings>,
    /// The agents by their name in the deployment group.
    pub agents: BTreeMap<String, AgentSettings>,
    /// The environment variables that the file names.
    pub(crate) variables: Variables,
}

/// `[bus.NAME]`
#[derive(Clone)]
pub struct BusSettings {
    /// Where the bus is; it may hold a password.
    pub dsn: Located<String>,
    /// The first part of every channel.
    pub prefix: Option<Located<String>>,
    /// Whether undeclared or missing arguments are errors instead of warnings.
    pub strict: Option<bool>,
}

/// `[broker.NAME]`
#[derive(Clone)]
pub struct BrokerSettings {
    /// Where the broker is; it may hold a password.
    pub dsn: Located<String>,
}

impl fmt::Debug for BusSettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusSettings")
            .field("dsn", &redacted(&self.dsn.value))
            .field("prefix", &self.prefix)
            .field("strict", &self.strict)
            .finish()
    }
}

impl fmt::Debug for BrokerSettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerSettings")
            .field("dsn", &redacted(&self.dsn.value))
            .finish()
    }
}

impl Settings {
    /// Reads a file: `.toml` or `.json`.
    ///
    /// # Errors
    /// A [`SettingsError`] for a file that cannot be read or is not as described at [`Settings::parse`].
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        Self::parse(path, &read_text(path)?)
    }

    /// Reads the text of a file; the path tells the format and is named in errors. A byte order mark at its start is ignored.
    ///
    /// # Errors
    /// A [`SettingsError`] with every problem of the file: file, line (for TOML) and key, what is wrong and what is allowed.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        Self::parse_with(path, text, &environment)
    }

    /// Reads as much of a file as can be read, so that this much can be checked further, and notes the rest as
    /// problems. Returns nothing if a key at the top is wrong, because the rest depends on those.
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
            _ => return problems.keep(Err(top.error("unknown format; allowed: .toml, .json"))),
        };
        let variables = expand_all(&mut node, environment, problems);
        let mut found = Problems::default();
        let settings = Self::from_node(node, variables, &mut found);
        problems.extend(found);
        let settings = settings?;
        if problems.is_empty() && settings.agents.is_empty() {
            let message = "there is no agent; at least one table `[agent.NAME]` is needed";
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

/// Replaces the variables in all strings, and says which there are.
fn expand_all(node: &mut Node, environment: Environment<'_>, problems: &mut Problems) -> Variables {
    let mut variables = Variables::default();
    node.change_strings(&mut |place, text| {
        let looked_up: RefCell<Vec<LookedUp>> = RefCell::default();
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

/// Reads each of the tables; those that are wrong are left out, as problems of the section.
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
