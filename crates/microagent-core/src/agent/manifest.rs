//! An agent type as data: what `info()`, `check` and the launcher read, without a connection.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Blueprint, ConsumerOptions, FailurePolicy, MicroAgent, Once, Overflow, Overlap,
    ReceiverOptions, RetryPolicy, failures::of_schedules,
};

/// What an agent type declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The name of the type.
    pub name: String,
    /// Its periodic tasks.
    pub periodic: Vec<PeriodicManifest>,
    /// Its cron tasks.
    pub cron: Vec<CronManifest>,
    /// Its receivers, one entry per handler and signal.
    pub receivers: Vec<ReceiverManifest>,
    /// Its consumers.
    pub consumers: Vec<ConsumerManifest>,
    /// Its hooks and servers.
    pub hooks: Vec<HookManifest>,
}

/// A periodic task. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodicManifest {
    /// The method.
    pub name: String,
    /// The time between two starts.
    pub period: f64,
    /// How long one run may take.
    pub timeout: f64,
    /// How long after the start the first run starts.
    pub start_after: f64,
    /// What happens when the last run is still going.
    #[serde(default)]
    pub overlap: Overlap,
    /// By how much a run may start later, at random.
    #[serde(default)]
    pub jitter: f64,
    /// After how long it is tried again, one after the other.
    #[serde(default)]
    pub retry: Vec<f64>,
    /// What follows each kind of failure.
    #[serde(flatten, with = "of_schedules")]
    pub failures: FailurePolicy,
}

/// A cron task. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CronManifest {
    /// The method.
    pub name: String,
    /// The schedule as it was written.
    pub cron: String,
    /// The zone whose clock it follows.
    pub tz: String,
    /// Whether it names the zone itself; otherwise that of the agent takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_tz: bool,
    /// How long one run may take.
    pub timeout: f64,
    /// What happens when the last run is still going.
    #[serde(default)]
    pub overlap: Overlap,
    /// By how much a run may start later, at random.
    #[serde(default)]
    pub jitter: f64,
    /// How its replicas agree that one of them runs; none where all do.
    #[serde(default)]
    pub once: Option<Once>,
    /// After how long it is tried again, one after the other.
    #[serde(default)]
    pub retry: Vec<f64>,
    /// What follows each kind of failure.
    #[serde(flatten, with = "of_schedules")]
    pub failures: FailurePolicy,
}

/// A receiver of one signal. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiverManifest {
    /// The method.
    pub name: String,
    /// The signal.
    pub signal: String,
    /// How long one run may take.
    pub timeout: f64,
    /// How many runs there may be at a time.
    #[serde(default = "receiver_concurrency")]
    pub concurrency: usize,
    /// How many signals may wait for a run.
    #[serde(default = "receiver_buffer")]
    pub buffer: usize,
    /// What happens to a signal beyond that.
    #[serde(default)]
    pub overflow: Overflow,
    /// After how long it is tried again, one after the other.
    #[serde(default)]
    pub retry: Vec<f64>,
    /// What follows each kind of failure.
    #[serde(flatten)]
    pub failures: FailurePolicy,
}

/// A consumer. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsumerManifest {
    /// The method.
    pub name: String,
    /// The queue.
    pub queue: String,
    /// How long one run may take.
    pub timeout: f64,
    /// How many runs there may be at a time.
    pub concurrency: usize,
    /// How many messages may be out of the queue; none is 2 × `concurrency`.
    #[serde(default)]
    pub prefetch: Option<usize>,
    /// Whether the handler's result settles the message.
    #[serde(default = "consumer_autoack")]
    pub autoack: bool,
    /// After how many deaths of its consumers a message is parked.
    #[serde(default = "consumer_max_crashes")]
    pub max_crashes: u32,
    /// Options of the driver, by name.
    #[serde(default)]
    pub driver: BTreeMap<String, String>,
    /// After how long it is tried again, one after the other.
    #[serde(default)]
    pub retry: Vec<f64>,
    /// What follows each kind of failure.
    #[serde(flatten)]
    pub failures: FailurePolicy,
    /// Where a message goes that cannot be handled; none where it is dropped.
    #[serde(default)]
    pub dead_letter: Option<String>,
}

/// A hook or server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookManifest {
    /// The method.
    pub name: String,
    /// `pre_start`, `post_start`, `pre_stop`, `server` or `gap`.
    pub on: String,
}

impl<A: MicroAgent> Blueprint<A> {
    /// The blueprint as data.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        Manifest {
            name: A::NAME.to_owned(),
            periodic: self.periodic.iter().map(Into::into).collect(),
            cron: self.cron.iter().map(Into::into).collect(),
            receivers: self.receivers.iter().map(Into::into).collect(),
            consumers: self.consumers.iter().map(Into::into).collect(),
            hooks: self.hooks(),
        }
    }

    fn hooks(&self) -> Vec<HookManifest> {
        let named = |on: &'static str, name: &&'static str| HookManifest {
            name: (*name).to_owned(),
            on: on.to_owned(),
        };
        let mut hooks: Vec<_> = self
            .pre_start
            .iter()
            .map(|(n, _)| named("pre_start", n))
            .collect();
        hooks.extend(self.post_start.iter().map(|(n, _)| named("post_start", n)));
        hooks.extend(self.pre_stop.iter().map(|(n, _)| named("pre_stop", n)));
        hooks.extend(self.servers.iter().map(|(n, _)| named("server", n)));
        hooks.extend(self.gaps.iter().map(|(n, _)| named("gap", n)));
        hooks
    }
}

impl<A> From<&super::PeriodicEntry<A>> for PeriodicManifest {
    fn from(entry: &super::PeriodicEntry<A>) -> Self {
        Self {
            name: entry.name.to_owned(),
            period: entry.options.period.as_secs_f64(),
            timeout: entry.options.timeout.as_secs_f64(),
            start_after: entry.options.start_after.as_secs_f64(),
            overlap: entry.options.overlap,
            jitter: entry.options.jitter.as_secs_f64(),
            retry: seconds(&entry.options.retry),
            failures: entry.options.failures,
        }
    }
}

impl<A> From<&super::CronEntry<A>> for CronManifest {
    fn from(entry: &super::CronEntry<A>) -> Self {
        Self {
            name: entry.name.to_owned(),
            cron: entry.options.spec.clone().into_owned(),
            tz: entry.options.tz.as_deref().unwrap_or("UTC").to_owned(),
            own_tz: entry.options.tz.is_some(),
            timeout: entry.options.timeout.as_secs_f64(),
            overlap: entry.options.overlap,
            jitter: entry.options.jitter.as_secs_f64(),
            once: entry.options.once,
            retry: seconds(&entry.options.retry),
            failures: entry.options.failures,
        }
    }
}

impl<A> From<&super::ReceiverEntry<A>> for ReceiverManifest {
    fn from(entry: &super::ReceiverEntry<A>) -> Self {
        Self {
            name: entry.name.to_owned(),
            signal: entry.signal.to_owned(),
            timeout: entry.options.timeout.as_secs_f64(),
            concurrency: entry.options.concurrency,
            buffer: entry.options.buffer,
            overflow: entry.options.overflow,
            retry: seconds(&entry.options.retry),
            failures: entry.options.failures,
        }
    }
}

impl<A> From<&super::ConsumerEntry<A>> for ConsumerManifest {
    fn from(entry: &super::ConsumerEntry<A>) -> Self {
        Self {
            name: entry.name.to_owned(),
            queue: entry.queue.name().to_owned(),
            timeout: entry.options.timeout.as_secs_f64(),
            concurrency: entry.options.concurrency,
            prefetch: entry.options.prefetch,
            autoack: entry.options.autoack,
            max_crashes: entry.options.max_crashes,
            driver: entry.options.native.clone(),
            retry: seconds(&entry.options.retry),
            failures: entry.options.failures,
            dead_letter: entry.options.dead_letter.of(entry.queue.name()),
        }
    }
}

fn seconds(retry: &RetryPolicy) -> Vec<f64> {
    retry.delays().iter().map(Duration::as_secs_f64).collect()
}

// What a program says that was built before these were said.

fn receiver_concurrency() -> usize {
    ReceiverOptions::default().concurrency
}

fn receiver_buffer() -> usize {
    ReceiverOptions::default().buffer
}

fn consumer_autoack() -> bool {
    ConsumerOptions::default().autoack
}

fn consumer_max_crashes() -> u32 {
    ConsumerOptions::default().max_crashes
}
