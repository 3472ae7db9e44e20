//! Options of handlers from the settings, over those of the attributes: `{"send_email": {"timeout": 30}}`.
//!
//! It reads and replaces; what the options mean is the business of those who keep to them.

mod manifest;
mod options;
#[cfg(test)]
mod tests;
mod values;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::options::{ForConsumer, ForCron, ForPeriodic, ForReceiver};
use super::{Blueprint, Manifest};
use crate::{Error, ErrorKind, Result};

/// Replaces options of the blueprint's handlers; `manifest` is the blueprint's own.
pub(super) fn apply<A>(
    blueprint: &mut Blueprint<A>,
    manifest: &Manifest,
    handlers: &Value,
) -> Result<()> {
    for (name, said) in entries(handlers)? {
        let mut found = false;
        for entry in blueprint
            .receivers
            .iter_mut()
            .filter(|entry| entry.name == name)
        {
            read::<ForReceiver>(name, said)?.apply(&mut entry.options);
            found = true;
        }
        for entry in blueprint
            .consumers
            .iter_mut()
            .filter(|entry| entry.name == name)
        {
            read::<ForConsumer>(name, said)?.apply(name, &mut entry.options)?;
            found = true;
        }
        for entry in blueprint
            .periodic
            .iter_mut()
            .filter(|entry| entry.name == name)
        {
            read::<ForPeriodic>(name, said)?.apply(&mut entry.options);
            found = true;
        }
        for entry in blueprint.cron.iter_mut().filter(|entry| entry.name == name) {
            read::<ForCron>(name, said)?.apply(&mut entry.options);
            found = true;
        }
        if !found {
            return Err(manifest.unknown(name));
        }
    }
    Ok(())
}

fn entries(handlers: &Value) -> Result<impl Iterator<Item = (&String, &Value)>> {
    match handlers {
        Value::Null => Ok(None.into_iter().flatten()),
        Value::Object(entries) => Ok(Some(entries).into_iter().flatten()),
        other => {
            let text = format!("the options of handlers are a table by their names, not {other}");
            Err(Error::new(ErrorKind::Configuration, text))
        }
    }
}

/// All handlers have this option but periodic and cron tasks.
const NOTHING_TO_DECODE: &str = "there is no option `on_undecodable` of a periodic or cron task: its runs have no payload to decode";

/// Option by option, so that an error names the option that it is about.
fn read<T: DeserializeOwned>(handler: &str, said: &Value) -> Result<T> {
    let Value::Object(options) = said else {
        return Err(refused(
            handler,
            format!("its options are a table, not {said}"),
        ));
    };
    for (option, value) in options {
        let alone = Map::from_iter([(option.clone(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(alone)).map_err(|error| {
            let error = error.to_string();
            match error.starts_with(&format!("unknown field `{option}`")) {
                true if option == "on_undecodable" => refused(handler, NOTHING_TO_DECODE),
                true => refused(handler, error.replacen("field", "option", 1)),
                false => refused(handler, format!("`{option}`: {error}")),
            }
        })?;
    }
    serde_json::from_value(said.clone()).map_err(|error| refused(handler, error))
}

fn refused(handler: &str, text: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("handler `{handler}`: {text}"),
    )
}
