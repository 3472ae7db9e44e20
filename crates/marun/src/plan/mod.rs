//! Makes the plan of a group from settings files. All configuration errors are found here, before
//! anything is started or connected.
//!
//! `program.rs` finds a program, `manifest.rs` requests its manifest. `agents.rs` finds the program
//! of each agent and checks its bus and broker, `handlers.rs` its handler options, `schedules.rs`
//! its time zones.

mod agents;
mod dsn;
mod handlers;
mod manifest;
mod program;
mod schedules;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use microagent_core::{AgentType, Declarations, Manifest};
use microagent_schema::redacted;
use serde::Serialize;

pub(crate) use self::dsn::is_memory;
use self::{
    dsn::{absolute, is_local},
    program::Search,
};
use crate::{
    connect,
    member::control::{BrokerLink, BusLink},
    settings::{
        AgentSettings, Located, Member, Place, Problems, Restart, Settings, SettingsError,
        Variables,
    },
};

/// The plan of a group: its members, in the order of the files and of the names.
#[derive(Serialize)]
pub(crate) struct Plan {
    pub(crate) agents: Vec<PlannedMember>,
    /// The DSNs of `local:` that agents use, whose hubs the launcher hosts, and their places in the
    /// settings.
    #[serde(skip)]
    pub(crate) local: BTreeMap<String, Place>,
    /// The environment variables that the files refer to.
    #[serde(skip)]
    pub(crate) variables: Variables,
}

/// A member of the group.
#[derive(Serialize)]
pub(crate) struct PlannedMember {
    /// The name in the group.
    pub(crate) name: String,
    /// The settings file.
    pub(crate) file: PathBuf,
    /// The time in which it must stop.
    #[serde(serialize_with = "as_seconds")]
    pub(crate) grace: Duration,
    /// The time in which it must become ready.
    #[serde(serialize_with = "as_seconds")]
    pub(crate) ready_timeout: Duration,
    /// The time that its runtime may be blocked.
    #[serde(serialize_with = "as_seconds_or_null")]
    pub(crate) watchdog: Option<Duration>,
    /// The restart policy.
    pub(crate) restart: Restart,
    /// The agent or command.
    #[serde(flatten)]
    pub(crate) kind: MemberKind,
}

/// The agent or command of a member.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum MemberKind {
    Agent(Box<PlannedAgent>),
    Command { command: Vec<String> },
}

/// An agent and its configuration.
#[derive(Serialize)]
pub(crate) struct PlannedAgent {
    pub(crate) backend: String,
    pub(crate) program: PathBuf,
    #[serde(serialize_with = "redacted_bus")]
    pub(crate) bus: Option<BusLink>,
    #[serde(serialize_with = "redacted_broker")]
    pub(crate) broker: Option<BrokerLink>,
    /// The declarations.
    pub(crate) declarations: Option<LoadedDeclarations>,
    /// The manifest of the program, with the options of the settings.
    pub(crate) manifest: Manifest,
    /// The settings of the agent. They are not shown, because they may contain secrets.
    #[serde(skip)]
    pub(crate) settings: serde_json::Value,
    /// The places of the settings, for errors of the agent.
    #[serde(skip)]
    pub(crate) settings_places: BTreeMap<String, String>,
    /// The options of its handlers, which the manifest shows.
    #[serde(skip)]
    pub(crate) handlers: serde_json::Value,
    /// The time zone of its cron tasks that do not set one, which the manifest shows.
    #[serde(skip)]
    pub(crate) zone: Option<String>,
}

/// Declarations that the launcher has loaded.
#[derive(Clone)]
pub(crate) struct LoadedDeclarations {
    url: String,
    /// The text, which the agents get, so that all use the same version.
    pub(crate) text: Arc<str>,
    parsed: Arc<Declarations>,
}

impl LoadedDeclarations {
    /// Checks the types that the agent's code gives to the arguments of signals.
    fn check_types(&self, agent: &AgentSettings, manifest: &Manifest, problems: &mut Problems) {
        for receiver in &manifest.receivers {
            let file = self.parsed.signal(&receiver.signal);
            let conflicts = file.map(|file| receiver.declaration().conflicts_with(file));
            for conflict in conflicts.unwrap_or_default() {
                let text = format!(
                    "receiver `{}` of {}: signal `{}`: {conflict} ({})",
                    receiver.name,
                    manifest.name,
                    receiver.signal,
                    redacted(&self.url)
                );
                problems.keep::<()>(Err(agent.place.error(text)));
            }
        }
    }
}

impl Serialize for LoadedDeclarations {
    /// Serializes the URL without secrets.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        redacted(&self.url).serialize(to)
    }
}

impl Plan {
    /// Makes the plan from settings files, and checks everything that they refer to.
    ///
    /// `own` are the agents in the running executable.
    ///
    /// # Errors
    /// Returns all problems of all files.
    pub(crate) fn make(files: &[PathBuf], own: &[AgentType]) -> Result<Self, SettingsError> {
        let (mut agents, mut local) = (Vec::new(), BTreeMap::new());
        let (mut names, mut variables) = (BTreeMap::new(), Variables::default());
        let mut problems = Problems::default();
        for file in files {
            let Some(settings) = Settings::read_in_part(file, &mut problems) else {
                continue;
            };
            // `extend` drops further problems of a value that cannot be read.
            let mut found = Problems::default();
            check_names(&settings, &mut names, &mut found);
            local.extend(local_dsns(&settings));
            variables.extend(settings.variables.clone());
            agents.extend(plan_file(settings, own, &mut found));
            problems.extend(found);
        }
        problems.or_else(|| Self {
            agents,
            local,
            variables,
        })
    }
}

/// Returns the DSNs of `local:` that the file's agents use, with absolute folders.
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

/// Checks that no name is used twice: the agents of all files form one group.
fn check_names(settings: &Settings, known: &mut BTreeMap<String, Place>, problems: &mut Problems) {
    for (name, agent) in &settings.agents {
        if let Some(first) = known.insert(name.clone(), agent.place.clone()) {
            let first = first.file().display();
            let message = format!("duplicate agent name: {first} has an agent of this name, too");
            problems.keep::<()>(Err(agent.place.error(message)));
        }
    }
}

fn plan_file(settings: Settings, own: &[AgentType], problems: &mut Problems) -> Vec<PlannedMember> {
    let declarations = settings.declarations.as_ref();
    let declarations = declarations.and_then(|url| problems.keep(load_declarations(url)));
    schedules::check_zones(&settings, problems);
    check_unused(&settings, problems);
    let Some(programs) = problems.keep(agents::Programs::request(&settings, own)) else {
        return Vec::new();
    };
    programs.check_dsns(&settings, problems);
    let file = settings.place.file();
    let agents = settings.agents.iter().filter_map(|(name, agent)| {
        Some(PlannedMember {
            name: name.clone(),
            file: file.to_owned(),
            grace: agent.grace,
            ready_timeout: agent.ready_timeout,
            watchdog: agent.watchdog,
            restart: agent.restart,
            kind: plan_member(agent, &settings, &programs, declarations.as_ref(), problems)?,
        })
    });
    agents.collect()
}

fn plan_member(
    agent: &AgentSettings,
    settings: &Settings,
    programs: &agents::Programs,
    declarations: Option<&LoadedDeclarations>,
    problems: &mut Problems,
) -> Option<MemberKind> {
    let (backend, bus, broker) = match &agent.member {
        Member::Command(command) => {
            let command = problems.keep(plan_command(command))?;
            return Some(MemberKind::Command { command });
        }
        Member::Agent {
            backend,
            bus,
            broker,
        } => (backend, bus.as_ref(), broker.as_ref()),
    };
    let (program, manifest) = problems.keep(programs.find(backend))?;
    if let Some(problem) = &manifest.creation_problem {
        problems.keep::<()>(Err(backend.place.error(problem)));
    }
    let (mut manifest, handlers) = handlers::configured(manifest, agent, problems)?;
    agents::check_needs(agent, &manifest, settings, problems);
    let zone = agent.tz.as_ref().or(settings.tz.as_ref());
    if let Some(zone) = zone {
        manifest = manifest.in_zone(&zone.value);
    }
    problems.keep(schedules::check_once(agent, &manifest));
    if let Some(declared) = declarations {
        declared.check_types(agent, &manifest, problems);
    }
    Some(MemberKind::Agent(Box::new(PlannedAgent {
        backend: backend.value.clone(),
        program: program.to_owned(),
        bus: bus.and_then(|name| bus_link(settings, &name.value)),
        broker: broker.and_then(|name| broker_link(settings, &name.value)),
        declarations: declarations.cloned(),
        manifest,
        settings: agent.settings.clone(),
        settings_places: agent.settings_places.clone(),
        handlers,
        zone: zone.map(|zone| zone.value.clone()),
    })))
}

fn plan_command(command: &Located<Vec<String>>) -> Result<Vec<String>, SettingsError> {
    let mut planned = command.value.clone();
    if let Some(program) = planned.first_mut() {
        let found = program::locate(program, &command.place, Search::Path)?;
        // A name is not replaced by its path, because some programs depend on the name that they
        // are called by.
        if program.contains('/') {
            *program = found.display().to_string();
        }
    }
    Ok(planned)
}

/// Returns the address of the bus with this name.
pub(crate) fn bus_link(settings: &Settings, name: &str) -> Option<BusLink> {
    let bus = settings.buses.get(name)?;
    Some(BusLink {
        dsn: absolute(&bus.dsn.value, &bus.dsn.place),
        prefix: bus.prefix.as_ref().map(|prefix| prefix.value.clone()),
        strict: bus.strict.unwrap_or(false),
    })
}

/// Returns the address of the broker with this name.
pub(crate) fn broker_link(settings: &Settings, name: &str) -> Option<BrokerLink> {
    let broker = settings.brokers.get(name)?;
    Some(BrokerLink {
        dsn: absolute(&broker.dsn.value, &broker.dsn.place),
    })
}

/// Returns the URL of the declarations. A path is relative to the settings file.
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

/// Loads the declarations for all agents of the file.
fn load_declarations(declarations: &Located<String>) -> Result<LoadedDeclarations, SettingsError> {
    let url = declarations_url(declarations);
    let (text, parsed) =
        connect::load(&url).map_err(|error| declarations.place.error(error.to_string()))?;
    Ok(LoadedDeclarations {
        url,
        text: text.into(),
        parsed: Arc::new(parsed),
    })
}

/// Checks prefixes, and the DSNs that no agent uses.
fn check_unused(settings: &Settings, problems: &mut Problems) {
    let mut check = |checked: microagent_core::Result<()>, place: &Place| {
        problems.keep(checked.map_err(|error| place.error(error.to_string())));
    };
    let buses = settings.buses.values();
    for prefix in buses.filter_map(|bus| bus.prefix.as_ref()) {
        check(connect::check_prefix(&prefix.value), &prefix.place);
    }
    let (buses, brokers) = agents::used(settings);
    for (name, bus) in &settings.buses {
        if !buses.contains_key(name.as_str()) {
            check(connect::check_bus(&bus.dsn.value), &bus.dsn.place);
        }
    }
    for (name, broker) in &settings.brokers {
        if !brokers.contains_key(name.as_str()) {
            check(connect::check_broker(&broker.dsn.value), &broker.dsn.place);
        }
    }
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
