//! Finds the program of each agent, and checks that the agent has the bus and the broker that it
//! needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use microagent_core::{AgentType, Manifest};
use microagent_schema::suggest::{available, unknown};

use super::{
    dsn,
    manifest::request_manifest,
    program::{Search, locate},
};
use crate::{
    local,
    member::manifest::{ManifestRequest, ProgramManifest, manifest},
    settings::{AgentSettings, Located, Member, Place, Problems, Settings, SettingsError},
};

/// The programs of a settings file, and their manifests.
pub(super) struct Programs {
    /// The running executable is the first: it runs the agents that it contains, even if `program`
    /// is another.
    manifests: Vec<(PathBuf, ProgramManifest)>,
    named: bool,
}

impl Programs {
    /// Requests the manifests of the running executable and of the file's `program`, with the DSNs
    /// of their agents.
    pub(super) fn request(settings: &Settings, own: &[AgentType]) -> Result<Self, SettingsError> {
        let is_own = |backend: &str| own.iter().any(|known| known.name() == backend);
        let mut manifests = Vec::new();
        if !own.is_empty() {
            let request = request(settings, is_own);
            manifests.push((own_path(&settings.place)?, manifest(&request, own)));
        }
        if let Some(program) = &settings.program {
            let request = request(settings, |backend| !is_own(backend));
            if has_agents(settings, |backend| !is_own(backend)) {
                let path = locate(&program.value, &program.place, Search::BesideThenPath)?;
                let without = &settings.variables.secret;
                let manifest = request_manifest(&path, &request, without)
                    .map_err(|reason| program.place.error(reason))?;
                manifests.push((path, manifest));
            }
        }
        Ok(Self {
            manifests,
            named: settings.program.is_some(),
        })
    }

    /// Returns the program and the manifest of an agent type.
    pub(super) fn find(
        &self,
        backend: &Located<String>,
    ) -> Result<(&Path, &Manifest), SettingsError> {
        for (path, manifest) in &self.manifests {
            let mut agents = manifest.agents.iter();
            if let Some(manifest) = agents.find(|agent| agent.name == backend.value) {
                return Ok((path, manifest));
            }
        }
        Err(backend.place.error(self.unknown(&backend.value)))
    }

    fn unknown(&self, backend: &str) -> String {
        let known = self
            .manifests
            .iter()
            .flat_map(|(_, manifest)| &manifest.agents);
        // A launcher that is the `program` itself is listed twice.
        let known: BTreeSet<&str> = known.map(|agent| agent.name.as_str()).collect();
        if known.is_empty() && !self.named {
            return format!(
                "unknown agent type `{backend}`: this launcher contains no agents; add `program = …` at the top of the file"
            );
        }
        unknown("agent type", backend, known)
    }

    /// Checks the DSNs of the buses and brokers that agents use.
    pub(super) fn check_dsns(&self, settings: &Settings, problems: &mut Problems) {
        let (buses, brokers) = used(settings);
        for (name, users) in buses {
            let dsn = settings.buses.get(name).map(|bus| &bus.dsn);
            problems.keep(self.check_dsn(dsn, users, |known| &known.refused_buses));
        }
        for (name, users) in brokers {
            let dsn = settings.brokers.get(name).map(|broker| &broker.dsn);
            problems.keep(self.check_dsn(dsn, users, |known| &known.refused_brokers));
        }
    }

    fn check_dsn(
        &self,
        dsn: Option<&Located<String>>,
        users: usize,
        refused: fn(&ProgramManifest) -> &BTreeMap<String, String>,
    ) -> Result<(), SettingsError> {
        let Some(Located { value, place }) = dsn else {
            return Ok(());
        };
        let absolute = dsn::absolute(value, place);
        for (_, manifest) in &self.manifests {
            if let Some(reason) = refused(manifest).get(&absolute) {
                return Err(place.error(reason));
            }
        }
        if let Some(problem) = local::problem(&absolute) {
            return Err(place.error(problem));
        }
        if users > 1 && dsn::is_memory(value) {
            return Err(place.error(
                "`memory:` connects only agents in the same process, but each agent has its own process; use `local:`",
            ));
        }
        Ok(())
    }
}

/// Returns how many agents use each bus and each broker.
pub(super) fn used(settings: &Settings) -> (BTreeMap<&str, usize>, BTreeMap<&str, usize>) {
    let (mut buses, mut brokers) = (BTreeMap::new(), BTreeMap::new());
    for (_, bus, broker) in agents(settings) {
        if let Some(bus) = bus {
            *buses.entry(bus).or_default() += 1;
        }
        if let Some(broker) = broker {
            *brokers.entry(broker).or_default() += 1;
        }
    }
    (buses, brokers)
}

/// Checks that an agent that receives has a bus, and one that consumes a broker.
pub(super) fn check_needs(
    agent: &AgentSettings,
    manifest: &Manifest,
    settings: &Settings,
    problems: &mut Problems,
) {
    let Member::Agent { bus, broker, .. } = &agent.member else {
        return;
    };
    let name = &manifest.name;
    if let (Some(receiver), None) = (manifest.receivers.first(), bus) {
        let known = settings.buses.keys().map(String::as_str);
        let message = format!("`{name}` receives the signal `{}`", receiver.signal);
        problems.keep::<()>(Err(needs(&agent.place, &message, "bus", known)));
    }
    if let (Some(consumer), None) = (manifest.consumers.first(), broker) {
        let known = settings.brokers.keys().map(String::as_str);
        let message = format!("`{name}` consumes the queue `{}`", consumer.queue);
        problems.keep::<()>(Err(needs(&agent.place, &message, "broker", known)));
    }
}

fn needs<'a>(
    place: &Place,
    reason: &str,
    kind: &str,
    known: impl Iterator<Item = &'a str>,
) -> SettingsError {
    let known: Vec<&str> = known.collect();
    place.error(format!(
        "missing `{kind}`: {reason} ({})",
        available(&known)
    ))
}

/// Returns backend, bus and broker of the agents in the file.
fn agents(settings: &Settings) -> impl Iterator<Item = (&str, Option<&str>, Option<&str>)> {
    settings
        .agents
        .values()
        .filter_map(|agent| match &agent.member {
            Member::Command(_) => None,
            Member::Agent {
                backend,
                bus,
                broker,
            } => Some((
                backend.value.as_str(),
                bus.as_ref().map(|name| name.value.as_str()),
                broker.as_ref().map(|name| name.value.as_str()),
            )),
        })
}

fn has_agents(settings: &Settings, is_wanted: impl Fn(&str) -> bool) -> bool {
    agents(settings).any(|(backend, ..)| is_wanted(backend))
}

/// Returns the DSNs of the agents whose backend is wanted.
fn request(settings: &Settings, is_wanted: impl Fn(&str) -> bool) -> ManifestRequest {
    let mut request = ManifestRequest::default();
    for (_, bus, broker) in agents(settings).filter(|(backend, ..)| is_wanted(backend)) {
        let bus = bus.and_then(|name| super::bus_link(settings, name));
        request.buses.extend(bus.map(|link| link.dsn));
        let broker = broker.and_then(|name| super::broker_link(settings, name));
        request.brokers.extend(broker.map(|link| link.dsn));
    }
    request
}

fn own_path(place: &Place) -> Result<PathBuf, SettingsError> {
    std::env::current_exe()
        .map_err(|error| place.error(format!("cannot find the running executable: {error}")))
}
