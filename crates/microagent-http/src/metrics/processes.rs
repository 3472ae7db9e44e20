//! The standard metrics of processes. Agents in one process share its series, which has the name of the first of them.

use std::{collections::BTreeMap, fmt};

use super::{Families, families::Labels};
use crate::{process::ProcessUse, report::AgentReport};

pub(super) fn write(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    let mut names = BTreeMap::new();
    for report in reports {
        if let Some(pid) = report.pid {
            names.entry(pid).or_insert(report.name.as_str());
        }
    }
    let used: Vec<(&str, ProcessUse)> = names
        .into_iter()
        .filter_map(|(pid, name)| Some((name, ProcessUse::of(pid)?)))
        .collect();
    to.counter(
        "process_cpu_seconds",
        "The processor time in user and system mode.",
        used.iter().map(|(name, used)| (of(name), used.cpu)),
    )?;
    to.gauge(
        "process_resident_memory_bytes",
        "The resident memory.",
        used.iter()
            .map(|(name, used)| (of(name), used.resident_bytes)),
    )?;
    to.gauge(
        "process_virtual_memory_bytes",
        "The virtual memory.",
        used.iter()
            .map(|(name, used)| (of(name), used.virtual_bytes)),
    )?;
    to.gauge(
        "process_start_time_seconds",
        "When the process was started, in seconds since the Unix epoch.",
        used.iter().map(|(name, used)| (of(name), used.started)),
    )?;
    to.gauge(
        "process_threads",
        "The number of threads.",
        used.iter().map(|(name, used)| (of(name), used.threads)),
    )?;
    to.gauge(
        "process_open_fds",
        "The number of open files and sockets.",
        used.iter().map(|(name, used)| (of(name), used.open_files)),
    )
}

fn of<'a>(name: &'a str) -> Labels<'a> {
    vec![("agent", name)]
}
