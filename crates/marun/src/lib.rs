//! The launcher of MicroAgent: it runs agents, each in its own OS process, started and stopped together.
//!
//! A program with agents becomes a launcher of them by its `main`:
//!
//! ```no_run
//! # use microagent_core::{Blueprint, Context, MicroAgent, Result};
//! # struct Idler;
//! # impl MicroAgent for Idler {
//! #     const NAME: &'static str = "Idler";
//! #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
//! #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
//! # }
//! // `no_run`: it takes the arguments of the process, which here are those of the test.
//! fn main() -> std::process::ExitCode {
//!     marun::main![Idler]
//! }
//! ```
//!
//! `program settings.toml` then runs the agents that the [`Settings`] name; the binary `marun` runs those of any such
//! program. What the commands are is told in `docs/marun.md`, what they end with in [`mod@exit`].
//!
//! # The way through this crate
//!
//! ```text
//! launcher.rs     arguments → cli.rs (for people) | hidden.rs (among our processes)
//! command/        run, check, info, signal, queue, cron
//! settings/       file → tree with places → checked keys
//! plan/           settings → programs found and asked → all that will run; after it nothing can be misconfigured
//! local/          the folders and hubs of `local:` that the group needs
//! supervise/      the supervisor's side: group/ decides, mod.rs does, spawn, reap, output
//! member/         a member's side: lifeline, assignment, agent | exec; the sentinel
//! columns.rs      tables for people
//! signals.rs      the signal state that a process inherits
//! standard.rs     the standard streams as sinks
//! terminal.rs     texts of others on a terminal
//! connect.rs      the one door to drivers and declarations
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
mod plan;
mod settings;
mod signals;
mod standard;
mod supervise;
mod terminal;

pub use launcher::Launcher;
pub use settings::{
    AgentSettings, BrokerSettings, BusSettings, DEFAULT_GRACE, DEFAULT_READY_TIMEOUT,
    DEFAULT_WATCHDOG, HandlerSettings, Located, Member, Place, Restart, RestartPolicy, Settings,
    SettingsError, SettingsProblem,
};

/// The whole `main` of a program with these agents: its command line is that of `marun`.
///
/// ```no_run
/// # use microagent_core::{Blueprint, Context, MicroAgent, Result};
/// # struct Idler;
/// # impl MicroAgent for Idler {
/// #     const NAME: &'static str = "Idler";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// // `no_run`: it takes the arguments of the process, which here are those of the test.
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
