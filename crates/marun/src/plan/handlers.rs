//! Applies the handler options in the settings to the manifest, which checks them.

use std::collections::BTreeMap;

use microagent_core::{Manifest, OptionError};
use serde_json::{Map, Value};

use crate::settings::{AgentSettings, HandlerSettings, Place, Problems, SettingsError};

/// Returns the manifest with those of the agent's options that fit, and these options as the agent
/// takes them.
pub(super) fn configured(
    manifest: &Manifest,
    agent: &AgentSettings,
    problems: &mut Problems,
) -> Option<(Manifest, Value)> {
    let mut given: BTreeMap<&String, Map<String, Value>> = agent
        .handlers
        .iter()
        .map(|(name, handler)| (name, as_json(handler)))
        .collect();
    loop {
        let options: Map<_, _> = given
            .iter()
            .map(|(name, options)| ((*name).clone(), Value::Object(options.clone())))
            .collect();
        let options = Value::Object(options);
        match manifest.configured(&options) {
            Ok(configured) => return Some((configured, options)),
            Err(error) => {
                let goes_on = leave_out(&mut given, &error);
                problems.keep::<()>(Err(refused(agent, error)));
                if !goes_on {
                    return None;
                }
            }
        }
    }
}

/// Leaves out what the error is about, to find what else is wrong: the option, or else the handler.
fn leave_out(given: &mut BTreeMap<&String, Map<String, Value>>, error: &OptionError) -> bool {
    let Some(handler) = &error.handler else {
        return false;
    };
    let options = given.get_mut(handler);
    let option = error.option.as_ref().zip(options);
    match option.and_then(|(name, options)| options.remove(name)) {
        Some(_) => true,
        None => given.remove(handler).is_some(),
    }
}

fn as_json(handler: &HandlerSettings) -> Map<String, Value> {
    let options = handler.options.iter();
    options
        .map(|(name, option)| (name.clone(), option.value.clone()))
        .collect()
}

/// Returns the error at the smallest place that it is about: an option, a handler, or the agent
/// that has it from its program. The text does not repeat what the place says.
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
