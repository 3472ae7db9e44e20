//! `info`: describes the agents and handlers that would run. `options.rs` formats the options of a
//! handler that are not the default.

mod options;

use std::fmt::Write as _;

use microagent_core::{AgentType, Manifest};
use microagent_schema::redacted;

use super::show_warnings;
use crate::{
    cli::Files,
    exit::Failure,
    plan::{MemberKind, Plan, PlannedAgent, PlannedMember},
    settings::{Restart, RestartPolicy},
    standard::print_line,
};

pub(crate) fn info(files: &Files, json: bool, own: &[AgentType]) -> Result<(), Failure> {
    show_warnings();
    let plan = Plan::make(&files.settings, own)?;
    let text = if json {
        serde_json::to_string_pretty(&plan).map_err(|error| Failure::failed(error.to_string()))?
    } else {
        let agents: Vec<_> = plan.agents.iter().map(describe).collect();
        agents.join("\n\n")
    };
    print_line(&text).map_err(|error| Failure::failed(error.to_string()))
}

fn describe(member: &PlannedMember) -> String {
    let mut lines = vec![member.name.clone()];
    match &member.kind {
        MemberKind::Command { command } => lines.push(row("command", command.join(" "))),
        MemberKind::Agent(agent) => lines.extend(describe_agent(agent)),
    }
    let grace = humantime::format_duration(member.grace);
    lines.push(row("grace", grace));
    lines.extend(describe_restart(member.restart));
    lines.join("\n")
}

fn describe_restart(restart: Restart) -> Option<String> {
    let policy = match restart.policy {
        RestartPolicy::Never => return None,
        RestartPolicy::OnFailure => "on failure",
        RestartPolicy::Always => "always",
    };
    let within = humantime::format_duration(restart.within);
    let text = format!("{policy}, at most {} times within {within}", restart.max);
    Some(row("restart", text))
}

fn describe_agent(agent: &PlannedAgent) -> Vec<String> {
    let mut lines = vec![
        row("backend", &agent.backend),
        row("program", agent.program.display()),
    ];
    if let Some(bus) = &agent.bus {
        let mut text = redacted(&bus.dsn);
        if let Some(prefix) = &bus.prefix {
            let _ = write!(text, ", prefix {prefix}");
        }
        if bus.strict {
            text.push_str(", strict");
        }
        lines.push(row("bus", text));
    }
    if let Some(broker) = &agent.broker {
        lines.push(row("broker", redacted(&broker.dsn)));
    }
    lines.extend(describe_manifest(&agent.manifest));
    lines
}

fn describe_manifest(manifest: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    for receiver in &manifest.receivers {
        let options = options::of_receiver(receiver);
        let text = format!(
            "{} on the signal {}{options}",
            receiver.name, receiver.signal
        );
        lines.push(row("receiver", text));
    }
    for consumer in &manifest.consumers {
        let options = options::of_consumer(consumer);
        let text = format!("{} of the queue {}{options}", consumer.name, consumer.queue);
        lines.push(row("consumer", text));
    }
    for task in &manifest.periodic {
        let options = options::of_periodic(task);
        let period = task.options.period.as_secs_f64();
        let text = format!("{} every {period} s{options}", task.name);
        lines.push(row("periodic", text));
    }
    for task in &manifest.cron {
        let options = options::of_cron(task);
        let schedule = &task.options.cron;
        let text = format!("{} at `{schedule}` {}{options}", task.name, task.tz());
        lines.push(row("cron", text));
    }
    for hook in &manifest.hooks {
        lines.push(row(&hook.on, &hook.name));
    }
    lines
}

fn row(label: &str, value: impl std::fmt::Display) -> String {
    format!("  {label:<10} {value}")
}
