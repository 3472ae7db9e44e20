//! `run`: makes the plan, starts the hubs of `local:`, and runs the group.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use microagent_core::AgentType;
use rustix::termios::tcgetwinsize;
use tracing::level_filters::LevelFilter;

use crate::{
    cli::{Files, Log},
    exit::Failure,
    local::Hubs,
    logging::{self, LogFormat},
    member::control::{self, AgentAssignment, CommandAssignment},
    operate,
    plan::{MemberKind, Plan, PlannedMember},
    standard::Standard,
    status,
    supervise::{self, Board, Format, GroupSocket, Kind, Launch, Output, Rules, Size, Terminal},
};

pub(crate) fn run(
    files: &Files,
    log: Log,
    http: Option<&str>,
    own: &[AgentType],
) -> Result<(), Failure> {
    let plan = Plan::make(&files.settings, own)?;
    let log = match log {
        Log::Json => LogFormat::Json,
        Log::Text => LogFormat::Text {
            color: has_color(),
            terminal: io::stdout().is_terminal(),
        },
    };
    let output = Output::start(format(log, &plan), Standard::output(), terminal(log));
    let output = output.map_err(failed)?;
    logging::install(log, LevelFilter::INFO, output.clone());
    let places = (files.settings.as_slice(), http);
    let all_went_well = run_group(plan, places, log, &output);
    output.flush();
    if all_went_well? {
        Ok(())
    } else {
        // The log has the reason.
        Err(Failure::failed(""))
    }
}

fn run_group(
    plan: Plan,
    (settings, http): (&[PathBuf], Option<&str>),
    log: LogFormat,
    output: &Output,
) -> Result<bool, Failure> {
    let are_agents = plan
        .agents
        .iter()
        .map(|member| matches!(member.kind, MemberKind::Agent(_)));
    let board = Board::new(are_agents);
    let names = plan.agents.iter().map(|member| member.name.clone());
    let _server = operate::serve(http, names.collect(), &board)?;
    let hubs = Hubs::start(&plan.local)?;
    let launches = plan.agents.into_iter().map(|member| launch(member, log));
    let launches = launches.collect::<serde_json::Result<_>>();
    let launches = launches.map_err(|error| failed(error.into()))?;
    // On this thread, because the thread that starts the members must live as long as they do.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let ended = runtime.block_on(async {
        let _socket = serve_status(settings, &board);
        supervise::supervise(launches, plan.variables, output.clone(), board).await
    });
    hubs.shutdown();
    ended.map_err(failed)
}

/// Answers `marun status` until the result is dropped. Without it the group runs as well.
fn serve_status(settings: &[PathBuf], board: &Board) -> Option<GroupSocket> {
    let serve = || {
        let path = status::socket_path(settings)?;
        status::prepare(&path)?;
        GroupSocket::serve(&path, board.clone())
    };
    let served = serve().inspect_err(|error| {
        tracing::warn!(target: supervise::OWN_NAME, %error, "`marun status` will not be answered");
    });
    served.ok()
}

fn failed(error: io::Error) -> Failure {
    Failure::failed(format!("cannot run the group: {error}"))
}

/// Returns whether the output is coloured: on a terminal, unless `NO_COLOR` is set
/// (<https://no-color.org>).
fn has_color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stdout().is_terminal()
}

/// Returns the terminal for the status table. It needs text output to a terminal that can move its
/// cursor.
fn terminal(log: LogFormat) -> Option<Terminal> {
    let LogFormat::Text { color, .. } = log else {
        return None;
    };
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
    (io::stdout().is_terminal() && !is_dumb).then_some(Terminal { size, color })
}

/// Returns the size of the terminal, or 80 × 24 if it is unknown.
fn size() -> Size {
    let size = tcgetwinsize(io::stdout()).ok();
    let or = |length: Option<u16>, usual| match length {
        None | Some(0) => usual,
        Some(length) => usize::from(length),
    };
    Size {
        columns: or(size.map(|size| size.ws_col), 80),
        lines: or(size.map(|size| size.ws_row), 24),
    }
}

fn format(log: LogFormat, plan: &Plan) -> Format {
    let terminal = io::stdout().is_terminal();
    match log {
        LogFormat::Json => Format::Json { terminal },
        LogFormat::Text { color, .. } => {
            let names = plan.agents.iter().map(|agent| agent.name.len());
            let width = names.chain([supervise::OWN_NAME.len()]).max();
            Format::Text {
                width: width.unwrap_or_default(),
                color,
                terminal,
            }
        }
    }
}

fn launch(member: PlannedMember, log: LogFormat) -> serde_json::Result<Launch> {
    let (kind, assignment) = match member.kind {
        MemberKind::Command { command } => (
            Kind::Command,
            control::line(&CommandAssignment { command })?,
        ),
        MemberKind::Agent(agent) => {
            let assignment = AgentAssignment {
                backend: agent.backend,
                bus: agent.bus,
                broker: agent.broker,
                declarations: agent.declarations.map(|declared| declared.text.to_string()),
                settings: agent.settings,
                settings_places: agent.settings_places,
                handlers: agent.handlers,
                zone: agent.zone,
                grace: member.grace,
                watchdog: member.watchdog,
                log,
            };
            (Kind::Agent(agent.program), control::line(&assignment)?)
        }
    };
    Ok(Launch {
        rules: Rules {
            name: member.name,
            grace: member.grace,
            ready_timeout: member.ready_timeout,
            watchdog: member.watchdog,
            restart: member.restart,
        },
        kind,
        assignment,
    })
}
