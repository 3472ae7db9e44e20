//! An agent type as data: what `info()`, `check` and the launcher read, without a connection.

use std::collections::BTreeMap;

use microagent_schema::{
    ArgumentDeclaration, ConsumerOptions, CronOptions, JsonType, PeriodicOptions, ReceiverOptions,
    SignalDeclaration,
};
use serde::{Deserialize, Serialize};

use super::{Blueprint, ConsumerEntry, CronEntry, MicroAgent, PeriodicEntry, ReceiverEntry};

/// The handlers of an agent type, with their options.
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
    /// The reason why it cannot be built by its name, as a launcher does. Only
    /// [`AgentType::manifest`](crate::AgentType::manifest) sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_problem: Option<String>,
}

/// A periodic task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodicManifest {
    /// The method.
    pub name: String,
    /// Its options.
    #[serde(flatten)]
    pub options: PeriodicOptions,
}

/// A cron task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CronManifest {
    /// The method.
    pub name: String,
    /// Its options, with its time zone.
    #[serde(flatten)]
    pub options: CronOptions,
    /// True if the task sets the time zone itself. Otherwise the zone of the agent replaces it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_tz: bool,
}

/// A receiver of one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiverManifest {
    /// The method.
    pub name: String,
    /// The signal.
    pub signal: String,
    /// The JSON types of the signal's arguments in the code, those that are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub argument_types: BTreeMap<String, Vec<String>>,
    /// Its options.
    #[serde(flatten)]
    pub options: ReceiverOptions,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsumerManifest {
    /// The method.
    pub name: String,
    /// The queue.
    pub queue: String,
    /// Its options, with the name of the queue of its dead letters.
    #[serde(flatten)]
    pub options: ConsumerOptions,
}

/// A hook or server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookManifest {
    /// The method.
    pub name: String,
    /// `pre_start`, `post_start`, `pre_stop`, `server` or `gap`.
    pub on: String,
}

impl CronManifest {
    /// Returns the time zone of the task.
    #[must_use]
    pub fn tz(&self) -> &str {
        self.options.tz.as_deref().unwrap_or("UTC")
    }
}

impl<A: MicroAgent> Blueprint<A> {
    /// Returns the blueprint as data.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        Manifest {
            name: A::NAME.to_owned(),
            periodic: self.periodic.iter().map(Into::into).collect(),
            cron: self.cron.iter().map(Into::into).collect(),
            receivers: self.receivers.iter().map(Into::into).collect(),
            consumers: self.consumers.iter().map(Into::into).collect(),
            hooks: self.hooks(),
            creation_problem: None,
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

    /// Gives the handlers the options of the blueprint's own manifest, which was changed.
    pub(super) fn take_options(&mut self, manifest: &Manifest) {
        for (entry, known) in self.periodic.iter_mut().zip(&manifest.periodic) {
            entry.options = known.options.clone();
        }
        for (entry, known) in self.cron.iter_mut().zip(&manifest.cron) {
            entry.options = known.options.clone();
        }
        for (entry, known) in self.receivers.iter_mut().zip(&manifest.receivers) {
            entry.options = known.options.clone();
        }
        for (entry, known) in self.consumers.iter_mut().zip(&manifest.consumers) {
            entry.options = known.options.clone();
        }
    }
}

impl<A> From<&PeriodicEntry<A>> for PeriodicManifest {
    fn from(entry: &PeriodicEntry<A>) -> Self {
        Self {
            name: entry.name.to_owned(),
            options: entry.options.clone(),
        }
    }
}

impl<A> From<&CronEntry<A>> for CronManifest {
    fn from(entry: &CronEntry<A>) -> Self {
        let mut options = entry.options.clone();
        let own_tz = options.tz.is_some();
        options.tz.get_or_insert("UTC".into());
        Self {
            name: entry.name.to_owned(),
            options,
            own_tz,
        }
    }
}

impl<A> From<&ReceiverEntry<A>> for ReceiverManifest {
    fn from(entry: &ReceiverEntry<A>) -> Self {
        Self {
            name: entry.name.to_owned(),
            signal: entry.signal.to_owned(),
            argument_types: argument_types(entry.declaration),
            options: entry.options.clone(),
        }
    }
}

fn argument_types(declared: &SignalDeclaration) -> BTreeMap<String, Vec<String>> {
    let arguments = declared.arguments.iter();
    let typed = arguments.filter(|argument| !argument.types.is_empty());
    typed
        .map(|argument| {
            let types = argument.types.iter().map(ToString::to_string);
            (argument.name.clone(), types.collect())
        })
        .collect()
}

impl ReceiverManifest {
    /// Returns the signal's arguments as the code declares them, those whose types are known.
    #[must_use]
    pub fn declaration(&self) -> SignalDeclaration {
        let arguments = self.argument_types.iter();
        let arguments = arguments.map(|(name, types)| ArgumentDeclaration {
            name: name.clone(),
            types: types
                .iter()
                .filter_map(|json| JsonType::named(json))
                .collect(),
        });
        SignalDeclaration {
            name: self.signal.clone(),
            arguments: arguments.collect(),
            typed: true,
        }
    }
}

impl<A> From<&ConsumerEntry<A>> for ConsumerManifest {
    fn from(entry: &ConsumerEntry<A>) -> Self {
        let mut options = entry.options.clone();
        options.dead_letter = options.dead_letter.named(entry.queue.name());
        Self {
            name: entry.name.to_owned(),
            queue: entry.queue.name().to_owned(),
            options,
        }
    }
}
