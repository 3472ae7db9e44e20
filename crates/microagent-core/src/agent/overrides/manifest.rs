//! What settings make of an agent type, without starting it.

use std::time::Duration;

use serde_json::Value;

use super::{
    entries,
    options::{ForConsumer, ForCron, ForPeriodic, ForReceiver},
    read, refused,
};
use crate::{
    ConsumerManifest, ConsumerOptions, CronManifest, CronOptions, DeadLetter, Error, ErrorKind,
    Manifest, PeriodicManifest, PeriodicOptions, ReceiverManifest, ReceiverOptions, Result,
    RetryPolicy, agent::failures::check_dead_letter, timer,
};

impl Manifest {
    /// The type as these options of its handlers make it, which [`Agent::handlers`](crate::Agent::handlers) takes. They are
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
    /// let early = manifest.configured(&json!({"report": {"cron": "0 5 * * *", "timeout": "2m"}}))?;
    /// assert_eq!((early.cron[0].cron.as_str(), early.cron[0].timeout), ("0 5 * * *", 120.0));
    ///
    /// let error = manifest.configured(&json!({"report": {"timeout": "soon"}})).unwrap_err();
    /// assert!(error.to_string().starts_with("handler `report`: `timeout`: \"soon\" is no duration"), "{error}");
    /// # Ok::<(), microagent_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], with the handler, the option, what is wrong and what is allowed.
    pub fn configured(&self, handlers: &Value) -> Result<Self> {
        let mut manifest = self.clone();
        for (name, said) in entries(handlers)? {
            if !manifest.configure(name, said)? {
                return Err(self.unknown(name));
            }
        }
        for known in &manifest.consumers {
            check_dead_letter(&known.name, &known.queue, known.dead_letter.as_deref())?;
        }
        Ok(manifest)
    }

    /// False when there is no such handler.
    fn configure(&mut self, name: &str, said: &Value) -> Result<bool> {
        let mut found = false;
        for known in self.receivers.iter_mut().filter(|known| known.name == name) {
            configure_receiver(known, read(name, said)?);
            found = true;
        }
        for known in self.consumers.iter_mut().filter(|known| known.name == name) {
            configure_consumer(known, read(name, said)?)?;
            found = true;
        }
        for known in self.periodic.iter_mut().filter(|known| known.name == name) {
            configure_periodic(known, read(name, said)?)?;
            found = true;
        }
        for known in self.cron.iter_mut().filter(|known| known.name == name) {
            configure_cron(known, read(name, said)?)?;
            found = true;
        }
        Ok(found)
    }

    /// Why nothing can be said about this handler.
    pub(super) fn unknown(&self, name: &str) -> Error {
        if let Some(hook) = self.hooks.iter().find(|hook| hook.name == name) {
            let kind = &hook.on;
            return refused(name, format!("a hook of kind `{kind}` has no options"));
        }
        let receivers = self.receivers.iter().map(|known| &known.name);
        let mut known: Vec<_> = receivers
            .chain(self.consumers.iter().map(|known| &known.name))
            .chain(self.periodic.iter().map(|known| &known.name))
            .chain(self.cron.iter().map(|known| &known.name))
            .map(|name| format!("`{name}`"))
            .collect();
        // A receiver of several signals stands there for each.
        known.dedup();
        let known = known.join(", ");
        let text = match known.is_empty() {
            true => format!(
                "{} has no handler `{name}`, and none with options",
                self.name
            ),
            false => format!(
                "{} has no handler `{name}`; those with options are {known}",
                self.name
            ),
        };
        Error::new(ErrorKind::Configuration, text)
    }
}

fn configure_receiver(known: &mut ReceiverManifest, said: ForReceiver) {
    let mut options = ReceiverOptions::default()
        .timeout(time(known.timeout))
        .concurrency(known.concurrency)
        .buffer(known.buffer)
        .overflow(known.overflow)
        .retry(retries(&known.retry));
    options.failures = known.failures;
    said.apply(&mut options);
    known.timeout = options.timeout.as_secs_f64();
    known.concurrency = options.concurrency;
    known.buffer = options.buffer;
    known.overflow = options.overflow;
    known.retry = seconds(&options.retry);
    known.failures = options.failures;
}

fn configure_consumer(known: &mut ConsumerManifest, said: ForConsumer) -> Result<()> {
    let dead_letter = match known.dead_letter.take() {
        None => DeadLetter::None,
        Some(queue) => DeadLetter::Queue(queue.into()),
    };
    let mut options = ConsumerOptions::default()
        .timeout(time(known.timeout))
        .concurrency(known.concurrency)
        .max_crashes(known.max_crashes)
        .retry(retries(&known.retry))
        .dead_letter(dead_letter);
    options.prefetch = known.prefetch;
    options.native = std::mem::take(&mut known.driver);
    options.failures = known.failures;
    said.apply(&known.name, &mut options)?;
    known.timeout = options.timeout.as_secs_f64();
    known.concurrency = options.concurrency;
    known.prefetch = options.prefetch;
    known.max_crashes = options.max_crashes;
    known.driver = options.native;
    known.retry = seconds(&options.retry);
    known.failures = options.failures;
    known.dead_letter = options.dead_letter.of(&known.queue);
    Ok(())
}

fn configure_periodic(known: &mut PeriodicManifest, said: ForPeriodic) -> Result<()> {
    let mut options = PeriodicOptions::every(time(known.period))
        .timeout(time(known.timeout))
        .start_after(time(known.start_after))
        .overlap(known.overlap)
        .jitter(time(known.jitter))
        .retry(retries(&known.retry));
    options.failures = known.failures;
    said.apply(&mut options);
    timer::check_jitter(&known.name, options.jitter, Some(options.period))?;
    known.period = options.period.as_secs_f64();
    known.timeout = options.timeout.as_secs_f64();
    known.start_after = options.start_after.as_secs_f64();
    known.overlap = options.overlap;
    known.jitter = options.jitter.as_secs_f64();
    known.retry = seconds(&options.retry);
    known.failures = options.failures;
    Ok(())
}

fn configure_cron(known: &mut CronManifest, said: ForCron) -> Result<()> {
    let mut options = CronOptions::at(known.cron.clone())
        .timeout(time(known.timeout))
        .overlap(known.overlap)
        .jitter(time(known.jitter))
        .retry(retries(&known.retry));
    (options.failures, options.once) = (known.failures, known.once);
    options.tz = known.own_tz.then(|| known.tz.clone().into());
    said.apply(&mut options);
    timer::check_jitter(&known.name, options.jitter, None)?;
    known.cron = options.spec.into_owned();
    known.timeout = options.timeout.as_secs_f64();
    known.own_tz = options.tz.is_some();
    known.tz = options.tz.map_or_else(|| known.tz.clone(), Into::into);
    known.overlap = options.overlap;
    known.jitter = options.jitter.as_secs_f64();
    known.once = options.once;
    known.retry = seconds(&options.retry);
    known.failures = options.failures;
    Ok(())
}

/// Seconds of a manifest, whose program may have been another's.
fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn retries(seconds: &[f64]) -> RetryPolicy {
    RetryPolicy::after(seconds.iter().copied().map(time).collect::<Vec<_>>())
}

fn seconds(retry: &RetryPolicy) -> Vec<f64> {
    retry.delays().iter().map(Duration::as_secs_f64).collect()
}
