//! The options that the settings set for an agent's handlers, at their places in the file. The manifest
//! knows what an option means and what is allowed.

use std::collections::BTreeMap;

use microagent_core::{Manifest, OptionError};
use serde_json::{Map, Value};

use crate::settings::{AgentSettings, HandlerSettings, Place, SettingsError};

/// Returns the manifest with the agent's options, and the options as the agent takes them.
pub(super) fn configured(
    manifest: &Manifest,
    agent: &AgentSettings,
) -> Result<(Manifest, Value), SettingsError> {
    let given: Map<_, _> = agent
        .handlers
        .iter()
        .map(|(name, handler)| (name.clone(), as_json(handler)))
        .collect();
    let given = Value::Object(given);
    match manifest.configured(&given) {
        Ok(configured) => Ok((configured, given)),
        Err(error) => Err(refused(agent, error)),
    }
}

fn as_json(handler: &HandlerSettings) -> Value {
    let options = handler.options.iter();
    options
        .map(|(name, option)| (name.clone(), option.value.clone()))
        .collect()
}

/// Returns the error at the smallest place that it is about: an option, a handler, or the agent that has
/// it from its program. The text does not repeat what the place says.
pub(super) fn refused(agent: &AgentSettings, mut error: OptionError) -> SettingsError {
    let handler = error
        .handler
        .as_ref()
        .and_then(|name| agent.handlers.get(name));
    let Some(handler) = handler else {
        return agent.place.error(error.to_string());
    };
    error.handler = None;
    if let Some(place) = place(&handler.options, error.option.as_deref()) {
        error.option = None;
        return place.error(error.to_string());
    }
    let other = place(&handler.options, error.other);
    other.unwrap_or(&handler.place).error(error.to_string())
}

fn place<'a>(
    options: &'a BTreeMap<String, crate::settings::Located<Value>>,
    option: Option<&str>,
) -> Option<&'a Place> {
    Some(&options.get(option?)?.place)
}
