//! Checks the time zones of schedules, and that cron tasks with `once` have a broker.

use microagent_core::{CronSchedule, Manifest, OptionError};

use super::handlers;
use crate::settings::{AgentSettings, Member, Problems, Settings, SettingsError};

/// Checks the time zones in the settings, even if no task uses them.
pub(super) fn check_zones(settings: &Settings, problems: &mut Problems) {
    let agents = settings
        .agents
        .values()
        .filter_map(|agent| agent.tz.as_ref());
    for zone in settings.tz.iter().chain(agents) {
        let checked = CronSchedule::new("@daily").and_then(|any| any.in_zone(&zone.value));
        problems.keep(checked.map_err(|error| zone.place.error(error.to_string())));
    }
}

/// Checks that an agent with tasks that run once has a broker.
pub(super) fn check_once(agent: &AgentSettings, manifest: &Manifest) -> Result<(), SettingsError> {
    let mut once = manifest
        .cron
        .iter()
        .filter(|task| task.options.once.is_some());
    match (&agent.member, once.next()) {
        (Member::Agent { broker: None, .. }, Some(task)) => {
            let message =
                "missing `broker = …`: the leases of a broker decide which replica runs the task";
            let error = OptionError::of("once", message).of_handler(&task.name);
            Err(handlers::refused(agent, error))
        }
        _ => Ok(()),
    }
}
