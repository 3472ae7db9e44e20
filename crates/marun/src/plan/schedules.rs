//! The zones of schedules, and what the program says of its handlers and only their start would refuse: schedules that are none, a `once` without a
//! broker, failures that cannot become what they are to. What the settings say of them is judged in `handlers.rs`.

use microagent_core::{CronManifest, CronSchedule, FailurePolicy, Manifest, OnFailure};
use serde_json::json;

use crate::settings::{AgentSettings, Member, Place, Settings, SettingsError};

/// The zones that the settings name, whoever follows them.
pub(super) fn check_zones(settings: &Settings) -> Result<(), SettingsError> {
    let agents = settings
        .agents
        .values()
        .filter_map(|agent| agent.tz.as_ref());
    for zone in settings.tz.iter().chain(agents) {
        CronSchedule::new("@daily")
            .and_then(|any| any.in_zone(&zone.value))
            .map_err(|error| zone.place.error(error.to_string()))?;
    }
    Ok(())
}

/// The manifest of an agent whose cron tasks follow this zone where they name none.
pub(super) fn in_zone(mut manifest: Manifest, zone: Option<&str>) -> Manifest {
    if let Some(zone) = zone {
        for task in manifest.cron.iter_mut().filter(|task| !task.own_tz) {
            zone.clone_into(&mut task.tz);
        }
    }
    manifest
}

/// Checks the handlers of an agent as the settings have made them.
pub(super) fn check(agent: &AgentSettings, manifest: &Manifest) -> Result<(), SettingsError> {
    for task in &manifest.cron {
        check_cron(agent, task)?;
    }
    let scheduled = manifest.cron.iter().map(|task| &task.name);
    for name in scheduled.chain(manifest.periodic.iter().map(|task| &task.name)) {
        // Nothing is changed, and the rest of the options is judged.
        let judged = manifest.configured(&json!({ name.as_str(): {} }));
        judged.map_err(|error| place(agent, name, "jitter").error(error.to_string()))?;
    }
    check_failures(agent, manifest)
}

fn check_cron(agent: &AgentSettings, task: &CronManifest) -> Result<(), SettingsError> {
    let name = &task.name;
    let refused = |option: &str, error: microagent_core::Error| {
        place(agent, name, option).error(format!("handler `{name}`: {error}"))
    };
    let schedule = CronSchedule::new(&task.cron).map_err(|error| refused("cron", error))?;
    schedule
        .in_zone(&task.tz)
        .map_err(|error| refused("tz", error))?;
    if task.once.is_some() && matches!(agent.member, Member::Agent { broker: None, .. }) {
        return Err(place(agent, name, "once").error(format!(
            "handler `{name}`: `once` needs a broker, whose leases tell the replicas apart: `broker = …` is missing"
        )));
    }
    Ok(())
}

fn check_failures(agent: &AgentSettings, manifest: &Manifest) -> Result<(), SettingsError> {
    let receivers = manifest
        .receivers
        .iter()
        .map(|known| (&known.name, known.failures));
    let periodic = manifest
        .periodic
        .iter()
        .map(|known| (&known.name, known.failures));
    let cron = manifest
        .cron
        .iter()
        .map(|known| (&known.name, known.failures));
    let mut others = receivers.chain(periodic).chain(cron);
    match others.find(|(_, failures)| has_dead_letters(failures)) {
        None => Ok(()),
        Some((name, _)) => Err(agent.place.error(format!(
            "handler `{name}`: a failure is to become a dead letter, which only a message of a queue can; \
             `retry` and `drop` are allowed here"
        ))),
    }
}

fn has_dead_letters(failures: &FailurePolicy) -> bool {
    let FailurePolicy {
        error,
        timeout,
        panic,
        undecodable,
        ..
    } = failures;
    [error, timeout, panic, undecodable].contains(&&OnFailure::DeadLetter)
}

/// Where the settings say this option of the handler, else the agent that has it from its program.
fn place<'a>(agent: &'a AgentSettings, handler: &str, option: &str) -> &'a Place {
    let said = agent.handlers.get(handler);
    let option = said.and_then(|said| said.options.get(option));
    option.map_or(&agent.place, |option| &option.place)
}
