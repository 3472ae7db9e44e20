//! What the settings make of an agent's handlers. What an option means, and what is allowed, knows the manifest.

use std::collections::BTreeMap;

use microagent_core::{Error, Manifest};
use serde_json::{Map, Value, json};

use crate::settings::{HandlerSettings, Place, SettingsError};

/// The manifest with these options, and the options as the agent takes them.
pub(super) fn configured(
    manifest: &Manifest,
    handlers: &BTreeMap<String, HandlerSettings>,
    agent: &Place,
) -> Result<(Manifest, Value), SettingsError> {
    let said: Map<_, _> = handlers
        .iter()
        .map(|(name, handler)| (name.clone(), as_json(handler)))
        .collect();
    let said = Value::Object(said);
    match manifest.configured(&said) {
        Ok(configured) => Ok((configured, said)),
        Err(error) => Err(refused(manifest, handlers, agent, &error)),
    }
}

fn as_json(handler: &HandlerSettings) -> Value {
    let options = handler.options.iter();
    options
        .map(|(name, option)| (name.clone(), option.value.clone()))
        .collect()
}

/// The error at the place that it is about: an option, a handler, or all of them.
fn refused(
    manifest: &Manifest,
    handlers: &BTreeMap<String, HandlerSettings>,
    agent: &Place,
    error: &Error,
) -> SettingsError {
    let is_why = |said: Value| {
        let alone = manifest.configured(&said).err();
        alone.is_some_and(|alone| alone.to_string() == error.to_string())
    };
    let text = error.to_string();
    for (name, handler) in handlers {
        let text = without(&text, &format!("handler `{name}`: "));
        if is_why(json!({ name: {} })) {
            return handler.place.error(text);
        }
        for (key, option) in &handler.options {
            if is_why(json!({ name: { key: option.value } })) {
                return option.place.error(without(text, &format!("`{key}`: ")));
            }
        }
        if is_why(json!({ name: as_json(handler) })) {
            return handler.place.error(text);
        }
    }
    agent.error(text)
}

/// The place says already which handler and option it is about.
fn without<'a>(text: &'a str, beginning: &str) -> &'a str {
    text.strip_prefix(beginning).unwrap_or(text)
}
