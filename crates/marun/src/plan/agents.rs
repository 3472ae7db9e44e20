//! Which program runs which agent, and whether the agent gets what it needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use microagent_core::{AgentType, Manifest};

use super::{
    dsn,
    manifest::request_manifest,
    program::{Search, locate},
};
use crate::{
    local,
    member::manifest::{ManifestRequest, ProgramManifest, manifest},
    settings::{AgentSettings, Located, Member, Place, Problems, Settings, SettingsError, allowed},
};

/// The programs that a settings file's agents live in, asked.
pub(super) struct Programs {
    /// The running executable first: it runs what it contains, whatever `program` says.
    manifests: Vec<(PathBuf, ProgramManifest)>,
    named: bool,
}

impl Programs {
    /// Asks the running executable and the file's `program`, about the DSNs that their agents are to get.
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

    /// The program and the manifest of an agent type.
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
        // A launcher that is the `program` itself is asked twice.
        let known: BTreeSet<&str> = known.map(|agent| agent.name.as_str()).collect();
        if known.is_empty() && !self.named {
            return format!(
                "there is no agent `{backend}` in this launcher; name the program that contains it: `program = …` at the top"
            );
        }
        let allowed = allowed(backend, known, "its program contains no agent");
        format!("there is no agent `{backend}`; {allowed}")
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
                "`memory:` ends at the borders of a process, and each agent is one: they would never meet; `local:` is made for that",
            ));
        }
        Ok(())
    }
}

/// How many agents use each bus and each broker.
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
        let message = format!(
            "`{name}` receives the signal `{}` and needs",
            receiver.signal
        );
        problems.keep::<()>(Err(needs(&agent.place, &message, "bus", known)));
    }
    if let (Some(consumer), None) = (manifest.consumers.first(), broker) {
        let known = settings.brokers.keys().map(String::as_str);
        let message = format!("`{name}` consumes the queue `{}` and needs", consumer.queue);
        problems.keep::<()>(Err(needs(&agent.place, &message, "broker", known)));
    }
}

fn needs<'a>(
    place: &Place,
    subject: &str,
    kind: &str,
    known: impl Iterator<Item = &'a str>,
) -> SettingsError {
    let none = format!("this file has no `[{kind}.NAME]` yet");
    place.error(format!(
        "{subject} a `{kind}`; {}",
        allowed("", known, &none)
    ))
}

/// The agents of the file: backend, bus and broker.
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

/// The DSNs of those agents whose backend is `of` the program.
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
        .map_err(|error| place.error(format!("the running executable cannot be found: {error}")))
}
