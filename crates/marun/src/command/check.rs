//! `check`: all checks that `run` does before it starts anything.

use microagent_core::AgentType;

use super::{print_message, show_warnings};
use crate::{cli::Files, exit::Failure, plan::Plan};

pub(crate) fn check(files: &Files, own: &[AgentType]) -> Result<(), Failure> {
    show_warnings();
    let plan = Plan::make(&files.settings, own)?;
    let names: Vec<_> = plan
        .agents
        .iter()
        .map(|agent| agent.name.as_str())
        .collect();
    print_message(format!("no mistake found; agents: {}", names.join(", ")));
    Ok(())
}
