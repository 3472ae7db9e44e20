//! `__manifest`: a program says which agents it contains, and which addresses it refuses. It connects to nothing.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use microagent_core::{AgentType, Manifest};
use serde::{Deserialize, Serialize};

use super::control::PROTOCOL;
use crate::{connect, standard::print_line};

/// What a launcher asks a program.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct ManifestRequest {
    /// The DSNs of the buses that its agents are to get.
    pub(crate) buses: Vec<String>,
    /// The DSNs of the brokers that its agents are to get.
    pub(crate) brokers: Vec<String>,
}

/// What a program says of itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProgramManifest {
    /// The version of what it says and understands.
    pub(crate) protocol: u32,
    /// The agents that it contains.
    pub(crate) agents: Vec<Manifest>,
    /// Why a DSN cannot be the bus of an agent, by DSN.
    pub(crate) refused_buses: BTreeMap<String, String>,
    /// Why a DSN cannot be the broker of an agent, by DSN.
    pub(crate) refused_brokers: BTreeMap<String, String>,
}

/// Introduces the program that is running.
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

/// Answers the inquiry on standard input, if there is one, on standard output.
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
