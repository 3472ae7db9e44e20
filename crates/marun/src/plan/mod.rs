//! From settings files to what will run: programs are found and asked, addresses and declarations checked. After
//! this nothing of the configuration can fail. Nothing is started, and no bus or broker is connected.
//!
//! `program.rs` finds a program, `ask.rs` asks it; `agents.rs` decides which program runs an agent and whether it gets
//! what it needs, `handlers.rs` what the settings make of its handlers, `schedules.rs` the zones and brokers that their schedules need.

mod agents;
mod ask;
mod dsn;
mod handlers;
mod program;
mod schedules;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use microagent_core::{AgentType, Manifest};
use microagent_schema::redacted;
use serde::Serialize;

use self::{
    dsn::{absolute, is_local},
    program::Search,
};
use crate::{
    connect,
    member::control::{BrokerLink, BusLink},
    settings::{
        AgentSettings, Located, Member, Place, Restart, Settings, SettingsError, Variables,
    },
};

/// What one or more settings files start, in the order of the files and of the agents' names.
#[derive(Serialize)]
pub(crate) struct Plan {
    pub(crate) agents: Vec<Planned>,
    /// The DSNs of the embedded default that agents use, whose hubs must be hosted, and where the settings name them.
    #[serde(skip)]
    pub(crate) local: BTreeMap<String, Place>,
    /// The environment variables that the files name.
    #[serde(skip)]
    pub(crate) variables: Variables,
}

/// A member of the group.
#[derive(Serialize)]
pub(crate) struct Planned {
    /// Its name in the group.
    pub(crate) name: String,
    /// The settings file that it comes from.
    pub(crate) file: PathBuf,
    /// How long it may drain.
    #[serde(serialize_with = "as_seconds")]
    pub(crate) grace: Duration,
    /// How long it may take to become ready.
    #[serde(serialize_with = "as_seconds")]
    pub(crate) ready_timeout: Duration,
    /// How long its runtime may be blocked.
    #[serde(serialize_with = "as_seconds_or_null")]
    pub(crate) watchdog: Option<Duration>,
    /// What follows its end.
    pub(crate) restart: Restart,
    /// What runs.
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What runs as a member.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum What {
    Agent(Box<PlannedAgent>),
    Command { command: Vec<String> },
}

/// An agent with all that it needs.
#[derive(Serialize)]
pub(crate) struct PlannedAgent {
    pub(crate) backend: String,
    pub(crate) program: PathBuf,
    #[serde(serialize_with = "redacted_bus")]
    pub(crate) bus: Option<BusLink>,
    #[serde(serialize_with = "redacted_broker")]
    pub(crate) broker: Option<BrokerLink>,
    /// Its declarations.
    pub(crate) declarations: Option<Declared>,
    /// Its manifest, as its program gave it and its settings changed it.
    pub(crate) manifest: Manifest,
    /// They may hold secrets, so nobody is shown them.
    #[serde(skip)]
    pub(crate) settings: serde_json::Value,
    /// Options of its handlers; the manifest shows them.
    #[serde(skip)]
    pub(crate) handlers: serde_json::Value,
    /// The zone of its cron tasks that name none; the manifest shows it.
    #[serde(skip)]
    pub(crate) zone: Option<String>,
}

/// Declarations, as the launcher read them.
#[derive(Clone)]
pub(crate) struct Declared {
    url: String,
    /// What the agents are given, so that none of them reads another version, or fails to.
    pub(crate) text: Arc<str>,
}

impl Serialize for Declared {
    /// The URL without its secrets.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        redacted(&self.url).serialize(to)
    }
}

impl Plan {
    /// Reads the files and checks everything that they name.
    ///
    /// `own` are the agents that the running executable contains.
    pub(crate) fn make(files: &[PathBuf], own: &[AgentType]) -> Result<Self, SettingsError> {
        let (mut agents, mut local) = (Vec::new(), BTreeMap::new());
        let (mut names, mut variables) = (BTreeMap::new(), Variables::default());
        for file in files {
            let settings = Settings::read(file)?;
            check_names(&settings, &mut names)?;
            local.extend(local_dsns(&settings));
            variables.extend(settings.variables.clone());
            agents.extend(plan_file(settings, own)?);
        }
        Ok(Self {
            agents,
            local,
            variables,
        })
    }
}

/// The DSNs of the embedded default that the file's agents use, as all processes can use them.
fn local_dsns(settings: &Settings) -> Vec<(String, Place)> {
    let (buses, brokers) = agents::used(settings);
    let buses = buses.keys().filter_map(|name| settings.buses.get(*name));
    let brokers = brokers
        .keys()
        .filter_map(|name| settings.brokers.get(*name));
    let dsns = buses
        .map(|bus| &bus.dsn)
        .chain(brokers.map(|broker| &broker.dsn));
    dsns.map(|dsn| (absolute(&dsn.value, &dsn.place), dsn.place.clone()))
        .filter(|(dsn, _)| is_local(dsn))
        .collect()
}

/// The agents of all files make one group, so a name must be unique in all of them.
fn check_names(
    settings: &Settings,
    known: &mut BTreeMap<String, Place>,
) -> Result<(), SettingsError> {
    for (name, agent) in &settings.agents {
        if let Some(first) = known.insert(name.clone(), agent.place.clone()) {
            let first = first.file().display();
            let message =
                format!("{first} has an agent of this name too; names are unique in a group");
            return Err(agent.place.error(message));
        }
    }
    Ok(())
}

fn plan_file(settings: Settings, own: &[AgentType]) -> Result<Vec<Planned>, SettingsError> {
    let declarations = load_declarations(settings.declarations.as_ref())?;
    schedules::check_zones(&settings)?;
    check_unused(&settings)?;
    let programs = agents::Programs::ask(&settings, own)?;
    let file = settings.place.file();
    settings
        .agents
        .iter()
        .map(|(name, agent)| {
            Ok(Planned {
                name: name.clone(),
                file: file.to_owned(),
                grace: agent.grace,
                ready_timeout: agent.ready_timeout,
                watchdog: agent.watchdog,
                restart: agent.restart,
                what: plan_member(agent, &settings, &programs, declarations.as_ref())?,
            })
        })
        .collect()
}

fn plan_member(
    agent: &AgentSettings,
    settings: &Settings,
    programs: &agents::Programs,
    declarations: Option<&Declared>,
) -> Result<What, SettingsError> {
    match &agent.member {
        Member::Command(command) => Ok(What::Command {
            command: plan_command(command)?,
        }),
        Member::Agent {
            backend,
            bus,
            broker,
        } => {
            let (program, manifest) = programs.find(backend)?;
            if let Some(problem) = &manifest.creation_problem {
                return Err(backend.place.error(problem));
            }
            let (mut manifest, handlers) = handlers::configured(manifest, agent)?;
            agents::check_needs(agent, &manifest, settings)?;
            let zone = agent.tz.as_ref().or(settings.tz.as_ref());
            if let Some(zone) = zone {
                manifest = manifest.in_zone(&zone.value);
            }
            schedules::check_once(agent, &manifest)?;
            Ok(What::Agent(Box::new(PlannedAgent {
                backend: backend.value.clone(),
                program: program.to_owned(),
                bus: bus
                    .as_ref()
                    .and_then(|name| bus_link(settings, &name.value)),
                broker: broker
                    .as_ref()
                    .and_then(|name| broker_link(settings, &name.value)),
                declarations: declarations.cloned(),
                manifest,
                settings: agent.settings.clone(),
                handlers,
                zone: zone.map(|zone| zone.value.clone()),
            })))
        }
    }
}

fn plan_command(command: &Located<Vec<String>>) -> Result<Vec<String>, SettingsError> {
    let mut planned = command.value.clone();
    if let Some(program) = planned.first_mut() {
        let found = program::locate(program, &command.place, Search::Path)?;
        // A name stays a name: some programs look at what they were called.
        if program.contains('/') {
            *program = found.display().to_string();
        }
    }
    Ok(planned)
}

/// The bus of this name as an agent connects to it.
pub(crate) fn bus_link(settings: &Settings, name: &str) -> Option<BusLink> {
    let bus = settings.buses.get(name)?;
    Some(BusLink {
        dsn: absolute(&bus.dsn.value, &bus.dsn.place),
        prefix: bus.prefix.as_ref().map(|prefix| prefix.value.clone()),
        strict: bus.strict.unwrap_or(false),
    })
}

/// The broker of this name as an agent connects to it.
pub(crate) fn broker_link(settings: &Settings, name: &str) -> Option<BrokerLink> {
    let broker = settings.brokers.get(name)?;
    Some(BrokerLink {
        dsn: absolute(&broker.dsn.value, &broker.dsn.place),
    })
}

/// The URL of the declarations: a path starts at the settings file.
pub(crate) fn declarations_url(declarations: &Located<String>) -> String {
    let source = &declarations.value;
    let path = match source.split_once("://") {
        None => source,
        Some(("file", path)) => path,
        Some(_) => return source.clone(),
    };
    let path: &Path = &declarations.place.folder().join(path);
    format!("file://{}", path.display())
}

/// Loads the declarations, once for all agents of the file.
fn load_declarations(
    declarations: Option<&Located<String>>,
) -> Result<Option<Declared>, SettingsError> {
    let Some(declarations) = declarations else {
        return Ok(None);
    };
    let url = declarations_url(declarations);
    let text = connect::load(&url).map_err(|error| declarations.place.error(error.to_string()))?;
    Ok(Some(Declared {
        url,
        text: text.into(),
    }))
}

/// Prefixes, and the DSNs that no agent's program is asked about.
fn check_unused(settings: &Settings) -> Result<(), SettingsError> {
    for prefix in settings
        .buses
        .values()
        .filter_map(|bus| bus.prefix.as_ref())
    {
        connect::check_prefix(&prefix.value)
            .map_err(|error| prefix.place.error(error.to_string()))?;
    }
    let (buses, brokers) = agents::used(settings);
    for (name, bus) in &settings.buses {
        if !buses.contains_key(name.as_str()) {
            connect::check_bus(&bus.dsn.value)
                .map_err(|error| bus.dsn.place.error(error.to_string()))?;
        }
    }
    for (name, broker) in &settings.brokers {
        if !brokers.contains_key(name.as_str()) {
            connect::check_broker(&broker.dsn.value)
                .map_err(|error| broker.dsn.place.error(error.to_string()))?;
        }
    }
    Ok(())
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

fn as_seconds_or_null<S: serde::Serializer>(
    duration: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs_f64())
        .serialize(to)
}

fn redacted_bus<S: serde::Serializer>(bus: &Option<BusLink>, to: S) -> Result<S::Ok, S::Error> {
    let bus = bus.clone().map(|bus| BusLink {
        dsn: redacted(&bus.dsn),
        ..bus
    });
    bus.serialize(to)
}

fn redacted_broker<S: serde::Serializer>(
    broker: &Option<BrokerLink>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let broker = broker.clone().map(|broker| BrokerLink {
        dsn: redacted(&broker.dsn),
    });
    broker.serialize(to)
}
