//! `__manifest`: prints which agents a program contains, and which DSNs it does not support.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use microagent_core::{AgentType, Manifest};
use serde::{Deserialize, Serialize};

use super::control::PROTOCOL;
use crate::{connect, standard::print_line};

/// The request of a launcher to a program.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct ManifestRequest {
    /// The DSNs of the buses of its agents.
    pub(crate) buses: Vec<String>,
    /// The DSNs of the brokers of its agents.
    pub(crate) brokers: Vec<String>,
}

/// The agents and the unsupported DSNs of a program.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProgramManifest {
    /// The version of the messages that it supports.
    pub(crate) protocol: u32,
    /// The agents in the program.
    pub(crate) agents: Vec<Manifest>,
    /// The reasons why DSNs cannot be used as a bus, by DSN.
    pub(crate) refused_buses: BTreeMap<String, String>,
    /// The reasons why DSNs cannot be used as a broker, by DSN.
    pub(crate) refused_brokers: BTreeMap<String, String>,
}

/// Returns the manifest of the running program.
pub(crate) fn manifest(request: &ManifestRequest, agents: &[AgentType]) -> ProgramManifest {
    ProgramManifest {
        protocol: PROTOCOL,
        agents: agents.iter().map(AgentType::manifest).collect(),
        refused_buses: refused(&request.buses, connect::check_bus),
        refused_brokers: refused(&request.brokers, connect::check_broker),
    }
}

fn refused(
    dsns: &[String],
    check: fn(&str) -> microagent_core::Result<()>,
) -> BTreeMap<String, String> {
    let refusal = |dsn: &String| Some((dsn.clone(), check(dsn).err()?.to_string()));
    dsns.iter().filter_map(refusal).collect()
}

/// Reads a request from standard input, if there is one, and prints the manifest.
pub(crate) fn answer(agents: &[AgentType]) -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let request = match text.trim() {
        "" => ManifestRequest::default(),
        text => serde_json::from_str(text)?,
    };
    let answer = serde_json::to_string(&manifest(&request, agents))?;
    print_line(&answer)
}
