//! The launcher of MicroAgent. It runs a group of agents, each in its own OS process, and starts
//! and stops them together.
//!
//! A program with agents becomes their launcher by its `main`:
//!
//! ```no_run
//! # use microagent_core::{Blueprint, Context, MicroAgent, Result};
//! # struct Idler;
//! # impl MicroAgent for Idler {
//! #     const NAME: &'static str = "Idler";
//! #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
//! #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
//! # }
//! // `no_run`: it parses the arguments of the process, which are those of the test here.
//! fn main() -> std::process::ExitCode {
//!     marun::main![Idler]
//! }
//! ```
//!
//! `program settings.toml` then runs the agents of the [`Settings`]. The binary `marun` runs the
//! agents of any such program. `docs/marun.md` describes the commands, and [`mod@exit`] their exit
//! codes.
//!
//! # Structure of this crate
//!
//! ```text
//! launcher.rs     the arguments: cli.rs (public commands) or hidden.rs (commands between our processes)
//! command/        the commands: run, check, info, status, signal, queue, cron
//! settings/       settings files: parsing, and checks of all keys
//! plan/           from settings to the processes to start; all configuration errors are found here
//! local/          the folders and hubs of `local:`
//! status/         the status of a group: its data, its socket's path, its text
//! supervise/      the supervisor: starts, watches and stops the members
//! operate.rs      `run --http`: metrics and health over HTTP
//! member/         the process of a member, and the sentinel
//! columns.rs      tables
//! signals.rs      the signal state that a process inherits
//! standard.rs     standard output and standard error
//! terminal.rs     escaping of control characters
//! traces.rs       the export of traces
//! connect.rs      drivers and declarations
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod cli;
mod columns;
mod command;
mod connect;
pub mod exit;
mod hidden;
mod launcher;
#[cfg_attr(not(feature = "local"), path = "local_absent.rs")]
mod local;
mod logging;
mod member;
#[cfg_attr(not(feature = "operate"), path = "operate_absent.rs")]
mod operate;
mod plan;
mod settings;
mod signals;
mod standard;
mod status;
mod supervise;
mod terminal;
#[cfg_attr(not(feature = "otel"), path = "traces_absent.rs")]
mod traces;

pub use launcher::Launcher;
pub use settings::{
    AgentSettings, BrokerSettings, BusSettings, DEFAULT_GRACE, DEFAULT_READY_TIMEOUT,
    DEFAULT_WATCHDOG, HandlerSettings, Located, Member, Place, Restart, RestartPolicy, Settings,
    SettingsError, SettingsProblem,
};

/// Runs the command line of `marun` for a program with these agents. It is the whole `main` of such
/// a program.
///
/// ```no_run
/// # use microagent_core::{Blueprint, Context, MicroAgent, Result};
/// # struct Idler;
/// # impl MicroAgent for Idler {
/// #     const NAME: &'static str = "Idler";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// // `no_run`: it parses the arguments of the process, which are those of the test here.
/// fn main() -> std::process::ExitCode {
///     marun::main![Idler]
/// }
/// ```
#[macro_export]
macro_rules! main {
    ($($agent:ty),* $(,)?) => {
        $crate::Launcher::new()$(.agent::<$agent>())*.run_from_args()
    };
}

/// The examples of the guide, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/marun.md")]
struct Guide;
