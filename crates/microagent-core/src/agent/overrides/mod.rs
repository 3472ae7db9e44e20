//! Options of handlers from the settings, over those of the attributes: `{"send_email": {"timeout": 30}}`.
//!
//! It reads and replaces; what the options mean is the business of those who keep to them.

mod options;
#[cfg(test)]
mod tests;
mod values;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::options::{ForConsumer, ForCron, ForPeriodic, ForReceiver};
use super::{Blueprint, Manifest};
use crate::{Error, ErrorKind, Result};

impl Manifest {
    /// Whether these options of handlers, by their names, are such that an agent of this type can start with them. They are
    /// written as in the attributes: numbers of seconds or text with a unit, lists for `retry`, text for the rest.
    ///
    /// ```
    /// use microagent_core::{Blueprint, Context, CronOptions, MicroAgent, Result};
    /// use serde_json::json;
    ///
    /// struct Reporter;
    ///
    /// impl MicroAgent for Reporter {
    ///     const NAME: &'static str = "Reporter";
    ///
    ///     fn blueprint() -> Blueprint<Self> {
    ///         Blueprint::new().cron("report", CronOptions::at("@daily"), |_, _| Box::pin(async { Ok(()) }))
    ///     }
    ///
    ///     async fn create(_cx: &Context) -> Result<Self> {
    ///         Ok(Self)
    ///     }
    /// }
    ///
    /// let manifest = Reporter::blueprint().manifest();
    /// assert!(manifest.check_handlers(&json!({"report": {"cron": "0 5 * * *", "timeout": "2m"}})).is_ok());
    /// let error = manifest.check_handlers(&json!({"report": {"timeout": "soon"}})).unwrap_err();
    /// assert!(error.to_string().starts_with("handler `report`: `timeout`: \"soon\" is no duration"), "{error}");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], with the handler, the option, what is wrong and what is allowed.
    pub fn check_handlers(&self, handlers: &Value) -> Result<()> {
        for (name, said) in entries(handlers)? {
            let receives = self.receivers.iter().any(|known| known.name == *name);
            if receives {
                read::<ForReceiver>(name, said)?;
            } else if self.consumers.iter().any(|known| known.name == *name) {
                read::<ForConsumer>(name, said)?;
            } else if self.periodic.iter().any(|known| known.name == *name) {
                read::<ForPeriodic>(name, said)?;
            } else if self.cron.iter().any(|known| known.name == *name) {
                read::<ForCron>(name, said)?;
            } else {
                return Err(self.unknown(name));
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> Error {
        if let Some(hook) = self.hooks.iter().find(|hook| hook.name == name) {
            let text = format!(
                "handler `{name}`: a hook of kind `{}` has no options",
                hook.on
            );
            return Error::new(ErrorKind::Configuration, text);
        }
        let mut known: Vec<_> = [
            self.receivers
                .iter()
                .map(|known| &known.name)
                .collect::<Vec<_>>(),
            self.consumers.iter().map(|known| &known.name).collect(),
            self.periodic.iter().map(|known| &known.name).collect(),
            self.cron.iter().map(|known| &known.name).collect(),
        ]
        .concat();
        known.dedup();
        let known: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
        let text = format!(
            "{} has no handler `{name}`; those with options are {}",
            self.name,
            known.join(", ")
        );
        Error::new(ErrorKind::Configuration, text)
    }
}

/// Replaces options of the blueprint's handlers; `manifest` is the blueprint's own.
pub(super) fn apply<A>(
    blueprint: &mut Blueprint<A>,
    manifest: &Manifest,
    handlers: &Value,
) -> Result<()> {
    manifest.check_handlers(handlers)?;
    for (name, said) in entries(handlers)? {
        let receivers = blueprint.receivers.iter_mut();
        for entry in receivers.filter(|entry| entry.name == name) {
            read::<ForReceiver>(name, said)?.apply(&mut entry.options);
        }
        let consumers = blueprint.consumers.iter_mut();
        for entry in consumers.filter(|entry| entry.name == name) {
            let changed = read::<ForConsumer>(name, said)?.apply(&mut entry.options);
            changed.map_err(|error| error.context(format!("handler `{name}`")))?;
        }
        let periodic = blueprint.periodic.iter_mut();
        for entry in periodic.filter(|entry| entry.name == name) {
            read::<ForPeriodic>(name, said)?.apply(&mut entry.options);
        }
        let cron = blueprint.cron.iter_mut();
        for entry in cron.filter(|entry| entry.name == name) {
            read::<ForCron>(name, said)?.apply(&mut entry.options);
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

/// Option by option, so that an error names the option that it is about.
fn read<T: DeserializeOwned>(handler: &str, said: &Value) -> Result<T> {
    let refused = |text: String| {
        Error::new(
            ErrorKind::Configuration,
            format!("handler `{handler}`: {text}"),
        )
    };
    let Value::Object(options) = said else {
        return Err(refused(format!("its options are a table, not {said}")));
    };
    for (option, value) in options {
        let alone = Map::from_iter([(option.clone(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(alone)).map_err(|error| {
            let error = error.to_string();
            match error.starts_with(&format!("unknown field `{option}`")) {
                true => refused(error.replacen("field", "option", 1)),
                false => refused(format!("`{option}`: {error}")),
            }
        })?;
    }
    serde_json::from_value(said.clone()).map_err(|error| refused(error.to_string()))
}
