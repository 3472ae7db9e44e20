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
mod restart;
mod section;
mod suggest;
mod toml;
mod variables;

use std::{cell::RefCell, collections::BTreeMap, fmt, path::Path};

use microagent_schema::{decode_text, redacted, without_mark};

use self::node::Node;
use self::section::Section;
pub use self::{
    agent::{AgentSettings, DEFAULT_GRACE, DEFAULT_READY_TIMEOUT, DEFAULT_WATCHDOG, Member},
    handler::HandlerSettings,
    place::{Place, SettingsError},
    restart::{Restart, RestartPolicy},
    section::Located,
};
use self::{expand::Environment, variables::LookedUp};
pub(crate) use self::{suggest::allowed, variables::Variables};

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
        let refused = |error: &dyn fmt::Display| {
            Place::top(path).error(format!("cannot read the settings: {error}"))
        };
        let bytes = std::fs::read(path).map_err(|error| refused(&error))?;
        Self::parse(path, &decode_text(bytes).map_err(|error| refused(&error))?)
    }

    /// Reads the text of a file; the path tells the format and is named in errors. A byte order mark at its start is ignored.
    ///
    /// # Errors
    /// A [`SettingsError`] that names file, line (for TOML) and key, what is wrong and what is allowed.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        Self::parse_with(path, text, &|name| std::env::var_os(name))
    }

    fn parse_with(
        path: &Path,
        text: &str,
        environment: Environment<'_>,
    ) -> Result<Self, SettingsError> {
        let (top, text) = (Place::top(path), without_mark(text));
        let mut node = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::parse(text, &top)?,
            Some("json") => json::parse(text, &top)?,
            _ => return Err(top.error("unknown format; allowed: .toml, .json")),
        };
        let variables = expand_all(&mut node, environment)?;
        let settings = Self {
            variables,
            ..Self::from_node(node)?
        };
        settings.check_references()?;
        Ok(settings)
    }

    fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, TOP_KEYS)?;
        let settings = Self {
            declarations: section.string("declarations")?,
            program: section.string("program")?,
            tz: section.string("tz")?,
            buses: named(section.tables("bus")?, BusSettings::from_node)?,
            brokers: named(section.tables("broker")?, BrokerSettings::from_node)?,
            agents: named(section.tables("agent")?, AgentSettings::from_node)?,
            place: section.place().clone(),
            variables: Variables::default(),
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

/// Replaces the variables in all strings, and says which there are.
fn expand_all(node: &mut Node, environment: Environment<'_>) -> Result<Variables, SettingsError> {
    let variables = RefCell::new(Variables::default());
    node.change_strings(&|place, text| {
        let looked_up: RefCell<Vec<LookedUp>> = RefCell::default();
        let look_up = |name: &str| {
            let value = environment(name);
            let known = value.iter().map(|value| (name.to_owned(), value.clone()));
            looked_up.borrow_mut().extend(known);
            value
        };
        let expanded = expand::expand(text, place, &look_up)?;
        for (name, value) in looked_up.take() {
            let mut variables = variables.borrow_mut();
            variables.note(place, &name, &value, &expanded);
        }
        Ok(expanded)
    })?;
    Ok(variables.into_inner())
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

#[cfg(test)]
mod tests;
