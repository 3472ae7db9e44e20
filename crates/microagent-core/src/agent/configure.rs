//! The effect of settings on an agent type, without starting it: options of handlers over those of the
//! attributes, such as `{"send_email": {"timeout": 30}}`, and the time zone of cron tasks that do not set one.

use microagent_schema::{ConsumerOptions, DeadLetter, HandlerOptions, OptionError, suggest};
use serde_json::{Map, Value};

use super::{Manifest, manifest::CronManifest};
use crate::timer;

impl Manifest {
    /// Returns the type with these options of its handlers, which
    /// [`Agent::handlers`](crate::Agent::handlers) takes. They are written as in the attributes: numbers
    /// of seconds or text with a unit, lists for `retry`, text for the rest.
    ///
    /// ```
    /// use std::time::Duration;
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
    /// let early = manifest.configured(&json!({"report": {"cron": "0 5 * * *", "timeout": "2m"}}))?;
    /// assert_eq!(early.cron[0].options.cron, "0 5 * * *");
    /// assert_eq!(early.cron[0].options.timeout, Duration::from_secs(120));
    ///
    /// let error = manifest.configured(&json!({"report": {"timeout": "soon"}})).unwrap_err();
    /// assert_eq!(error.option.as_deref(), Some("timeout"));
    /// assert!(error.to_string().starts_with("handler `report`: `timeout`: invalid duration \"soon\""), "{error}");
    /// # Ok::<(), microagent_core::OptionError>(())
    /// ```
    ///
    /// # Errors
    /// [`OptionError`], with the handler, the option, what is wrong and what is allowed: for the given
    /// options, and for those of the attributes that the start would reject.
    pub fn configured(&self, handlers: &Value) -> Result<Self, OptionError> {
        self.started_with(handlers, None)
    }

    /// Returns the type whose cron tasks are in this time zone, unless they set one themselves.
    #[must_use]
    pub fn in_zone(mut self, zone: &str) -> Self {
        for task in self.cron.iter_mut().filter(|task| !task.own_tz) {
            task.options.tz = Some(zone.to_owned().into());
        }
        self
    }

    /// Returns the type as a start with these options and this zone makes it.
    pub(super) fn started_with(
        &self,
        handlers: &Value,
        zone: Option<&str>,
    ) -> Result<Self, OptionError> {
        let mut manifest = self.overridden(handlers)?;
        if let Some(zone) = zone {
            manifest = manifest.in_zone(zone);
        }
        manifest.check()?;
        Ok(manifest)
    }

    fn overridden(&self, handlers: &Value) -> Result<Self, OptionError> {
        let handlers = match handlers {
            Value::Null => return Ok(self.clone()),
            Value::Object(handlers) => handlers,
            other => {
                let text =
                    format!("the options of handlers are a table by their names, not {other}");
                return Err(OptionError::new(text));
            }
        };
        let mut manifest = self.clone();
        for (name, given) in handlers {
            let found = manifest.override_handler(name, given);
            if !found.map_err(|error| error.of_handler(name))? {
                return Err(self.unknown(name));
            }
        }
        Ok(manifest)
    }

    /// Returns false when there is no such handler.
    fn override_handler(&mut self, name: &str, given: &Value) -> Result<bool, OptionError> {
        let mut found = false;
        for known in self.receivers.iter_mut().filter(|known| known.name == name) {
            known.options = known.options.overridden(table(given)?)?;
            found = true;
        }
        for known in self.consumers.iter_mut().filter(|known| known.name == name) {
            known.options = known.options.overridden(table(given)?)?;
            found = true;
        }
        for known in self.periodic.iter_mut().filter(|known| known.name == name) {
            known.options = known.options.overridden(table(given)?)?;
            found = true;
        }
        for known in self.cron.iter_mut().filter(|known| known.name == name) {
            let given = table(given)?;
            known.options = known.options.overridden(given)?;
            known.own_tz |= given.get("tz").is_some_and(|zone| !zone.is_null());
            found = true;
        }
        Ok(found)
    }

    /// Checks the options of all handlers, as a start does.
    fn check(&self) -> Result<(), OptionError> {
        for known in &self.receivers {
            of(&known.name, known.options.validate())?;
        }
        for (n, known) in self.consumers.iter().enumerate() {
            of(&known.name, check_consumer(&known.options, &known.queue))?;
            of(&known.name, self.check_rivals(n))?;
        }
        for known in &self.periodic {
            of(&known.name, known.options.validate())?;
        }
        for known in &self.cron {
            of(&known.name, check_cron(known))?;
        }
        Ok(())
    }

    /// Rejects a second consumer of a queue. The compiler rejects one that names the same constant.
    fn check_rivals(&self, n: usize) -> Result<(), OptionError> {
        let queue = &self.consumers[n].queue;
        let mut before = self.consumers[..n].iter();
        match before.find(|other| other.queue == *queue) {
            None => Ok(()),
            Some(other) => Err(OptionError::new(format!(
                "queue `{queue}` has a consumer already, `{}`: a message goes to one handler, so an agent has one consumer per queue",
                other.name
            ))),
        }
    }

    /// Returns the reason why this handler has no options.
    fn unknown(&self, name: &str) -> OptionError {
        if let Some(hook) = self.hooks.iter().find(|hook| hook.name == name) {
            let text = format!("a hook of kind `{}` has no options", hook.on);
            return OptionError::new(text).of_handler(name);
        }
        let receivers = self.receivers.iter().map(|known| &known.name);
        let mut known: Vec<_> = receivers
            .chain(self.consumers.iter().map(|known| &known.name))
            .chain(self.periodic.iter().map(|known| &known.name))
            .chain(self.cron.iter().map(|known| &known.name))
            .map(String::as_str)
            .collect();
        // A receiver of several signals has one entry for each.
        known.dedup();
        let what = format!("handler of {}", self.name);
        OptionError::new(suggest::unknown_here(what, name, known)).of_handler(name)
    }
}

fn table(given: &Value) -> Result<&Map<String, Value>, OptionError> {
    let refused = || OptionError::new(format!("its options are a table, not {given}"));
    given.as_object().ok_or_else(refused)
}

fn of(handler: &str, checked: Result<(), OptionError>) -> Result<(), OptionError> {
    checked.map_err(|error| error.of_handler(handler))
}

fn check_consumer(options: &ConsumerOptions, queue: &str) -> Result<(), OptionError> {
    options.dead_letter.check_for(queue)?;
    // A queue with an invalid name is rejected for that when it is consumed.
    if options.dead_letter == DeadLetter::OwnQueue.named(queue) {
        options.clone().dead_letter(DeadLetter::OwnQueue).validate()
    } else {
        options.validate()
    }
}

/// Checks the name of a time zone. It is checked here because only this crate knows time zones.
fn check_cron(task: &CronManifest) -> Result<(), OptionError> {
    task.options.validate()?;
    timer::check_zone(task.tz()).map_err(|error| OptionError::of("tz", error))
}
