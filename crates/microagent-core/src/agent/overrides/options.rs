//! The options of each kind of handler that settings may replace, by the names of the attributes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    refused,
    values::{Count, Delays, OnRun, OnceOrNot, Positive, Span, Spec, Time, Undertaker, Zone},
};
use crate::{
    ConsumerOptions, CronOptions, OnFailure, Overflow, Overlap, PeriodicOptions, ReceiverOptions,
    Result,
};

/// Replaces what is said.
macro_rules! replace {
    ($said:ident, $options:ident: $($name:ident $(= $value:expr)?),+ $(,)?) => {$(
        if let Some($name) = $said.$name {
            $options.$name = replace!(@value $name $(, $value)?);
        }
    )+};
    (@value $name:ident, $value:expr) => { $value };
    (@value $name:ident) => { $name };
}

macro_rules! replace_failures {
    ($said:ident, $options:ident) => {
        if let Some(retry) = $said.retry {
            $options.retry = retry.into();
        }
        let failures = &mut $options.failures;
        failures.error = $said.on_error.map_or(failures.error, Into::into);
        failures.timeout = $said.on_timeout.map_or(failures.timeout, Into::into);
        failures.panic = $said.on_panic.map_or(failures.panic, Into::into);
    };
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForReceiver {
    timeout: Option<Time>,
    concurrency: Option<Positive>,
    buffer: Option<Count>,
    overflow: Option<Overflow>,
    retry: Option<Delays>,
    on_error: Option<OnRun>,
    on_timeout: Option<OnRun>,
    on_panic: Option<OnRun>,
    on_undecodable: Option<OnRun>,
}

impl ForReceiver {
    pub(super) fn apply(self, options: &mut ReceiverOptions) {
        replace!(self, options: timeout = timeout.0, concurrency = concurrency.0, buffer = buffer.0, overflow);
        replace_failures!(self, options);
        let undecodable = &mut options.failures.undecodable;
        *undecodable = self.on_undecodable.map_or(*undecodable, Into::into);
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForConsumer {
    timeout: Option<Time>,
    concurrency: Option<Positive>,
    prefetch: Option<Positive>,
    retry: Option<Delays>,
    on_error: Option<OnFailure>,
    on_timeout: Option<OnFailure>,
    on_panic: Option<OnFailure>,
    on_undecodable: Option<OnFailure>,
    dead_letter: Option<Undertaker>,
    max_crashes: Option<Positive>,
    driver: Option<BTreeMap<String, String>>,
}

impl ForConsumer {
    pub(super) fn apply(self, handler: &str, options: &mut ConsumerOptions) -> Result<()> {
        let crashes = self
            .max_crashes
            .map(|crashes| u32::try_from(crashes.0).unwrap_or(u32::MAX));
        options.max_crashes = crashes.unwrap_or(options.max_crashes);
        options.native.extend(self.driver.unwrap_or_default());
        replace!(self, options: timeout = timeout.0, concurrency = concurrency.0, prefetch = Some(prefetch.0),
            dead_letter = dead_letter.0);
        replace_failures!(self, options);
        let undecodable = &mut options.failures.undecodable;
        *undecodable = self.on_undecodable.unwrap_or(*undecodable);
        match options.prefetch {
            Some(prefetch) if prefetch < options.concurrency => {
                let text = format!(
                    "`prefetch` is {prefetch}, which is less than `concurrency`, {}: every running handler has a message \
                     out of the queue",
                    options.concurrency
                );
                Err(refused(handler, text))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForPeriodic {
    period: Option<Time>,
    timeout: Option<Time>,
    start_after: Option<Span>,
    overlap: Option<Overlap>,
    jitter: Option<Span>,
    retry: Option<Delays>,
    on_error: Option<OnRun>,
    on_timeout: Option<OnRun>,
    on_panic: Option<OnRun>,
}

impl ForPeriodic {
    pub(super) fn apply(self, options: &mut PeriodicOptions) {
        replace!(self, options: period = period.0, timeout = timeout.0, start_after = start_after.0, overlap,
            jitter = jitter.0);
        replace_failures!(self, options);
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForCron {
    cron: Option<Spec>,
    timeout: Option<Time>,
    tz: Option<Zone>,
    overlap: Option<Overlap>,
    jitter: Option<Span>,
    once: Option<OnceOrNot>,
    retry: Option<Delays>,
    on_error: Option<OnRun>,
    on_timeout: Option<OnRun>,
    on_panic: Option<OnRun>,
}

impl ForCron {
    pub(super) fn apply(self, options: &mut CronOptions) {
        if let Some(cron) = self.cron {
            options.spec = cron.0.into();
        }
        replace!(self, options: timeout = timeout.0, tz = Some(tz.0.into()), overlap, jitter = jitter.0, once = once.0);
        replace_failures!(self, options);
    }
}
