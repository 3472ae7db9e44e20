//! The launcher of a program: its agents and its command line.

use std::{collections::BTreeSet, env::VarError, ffi::OsString, process::ExitCode};

use microagent_core::{AgentType, MicroAgent};

use crate::{
    cli::{Cli, Command},
    command,
    exit::{self, Failure},
    hidden::HiddenCommand,
    member::{agent, exec, manifest, sentinel},
    signals,
    standard::print_error,
};

/// The command line of a program with agents. [`main!`](crate::main) is the short form.
///
/// ```no_run
/// use microagent_core::{Blueprint, Context, MicroAgent, Result};
///
/// struct Idler;
///
/// impl MicroAgent for Idler {
///     const NAME: &'static str = "Idler";
///
///     fn blueprint() -> Blueprint<Self> {
///         Blueprint::new()
///     }
///
///     async fn create(_cx: &Context) -> Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// // `no_run`: it parses the arguments of the process, which are those of the test here.
/// fn main() -> std::process::ExitCode {
///     marun::Launcher::new().agent::<Idler>().run_from_args()
/// }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a launcher does nothing until `run_from_args`"]
pub struct Launcher {
    agents: Vec<AgentType>,
}

impl Launcher {
    /// Creates a launcher without agents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an agent type. Settings refer to it by [`MicroAgent::NAME`]. If two types have the same
    /// name, the launcher does not run.
    pub fn agent<A: MicroAgent>(mut self) -> Self {
        self.agents.push(AgentType::of::<A>());
        self
    }

    /// Runs the command of the process's arguments, and returns one of the codes of
    /// [`exit`](mod@crate::exit).
    ///
    /// Call it on the main thread, outside of a runtime, and before anything slow: the process of
    /// each agent starts here too.
    pub fn run_from_args(self) -> ExitCode {
        signals::unblock();
        if let Err(failure) = self.check_names() {
            return end(Err(failure));
        }
        let arguments: Vec<OsString> = std::env::args_os().collect();
        match HiddenCommand::of(&arguments) {
            Some(hidden) => self.run_hidden(hidden),
            None => self.run_command(arguments),
        }
    }

    fn check_names(&self) -> Result<(), Failure> {
        let mut known = BTreeSet::new();
        match self.agents.iter().find(|agent| !known.insert(agent.name())) {
            None => Ok(()),
            Some(twice) => Err(Failure::usage(format!(
                "duplicate agent type `{}` in this program: settings refer to agent types by name",
                twice.name()
            ))),
        }
    }

    fn run_hidden(&self, hidden: HiddenCommand) -> ExitCode {
        match hidden {
            HiddenCommand::Agent { name, parent } => agent::run(&name, parent, &self.agents),
            HiddenCommand::Exec { parent } => match exec::exec(parent) {
                Err(message) => end(Err(Failure::failed(message))),
            },
            HiddenCommand::Sentinel { tag } => {
                sentinel::watch(&tag);
                ExitCode::from(exit::DONE)
            }
            HiddenCommand::Manifest => {
                let answered = manifest::answer(&self.agents);
                end(answered.map_err(|error| Failure::usage(error.to_string())))
            }
        }
    }

    fn run_command(&self, arguments: Vec<OsString>) -> ExitCode {
        if let Err(error) = signals::install_handlers() {
            return end(Err(Failure::failed(format!(
                "cannot receive process signals: {error}"
            ))));
        }
        let cli = match Cli::parse_args(arguments) {
            Ok(cli) => cli,
            Err(answer) => {
                // Help is printed to standard output, and is not an error; clap distinguishes them.
                let _ = answer.print();
                return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(exit::USAGE));
            }
        };
        if let Err(failure) = check_variables() {
            return end(Err(failure));
        }
        end(match cli.command {
            Command::Run { files, log, http } => {
                command::run::run(&files, log, http.as_deref(), &self.agents)
            }
            Command::Check { files } => command::check::check(&files, &self.agents),
            Command::Info { files, json } => command::info::info(&files, json, &self.agents),
            Command::Status { of, json, watch } => command::status::run(&of, json, watch),
            Command::Signal(signal) => command::signal::run(signal),
            Command::Queue(queue) => command::queue::run(queue),
            Command::Cron(cron) => command::cron::run(cron),
        })
    }
}

/// Rejects environment variables whose invalid values would silently count as not set.
fn check_variables() -> Result<(), Failure> {
    let variables = ["RUST_LOG", "WATCHDOG_PID", "WATCHDOG_USEC"];
    let is_text = |name: &&str| !matches!(std::env::var(name), Err(VarError::NotUnicode(_)));
    match variables.iter().find(|name| !is_text(name)) {
        None => Ok(()),
        Some(name) => Err(Failure::usage(format!(
            "invalid environment variable {name}: expected UTF-8 text"
        ))),
    }
}

/// Prints the message of a failure, and returns the exit code.
fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) => {
            if !failure.message.is_empty() {
                print_error(&failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use microagent_core::{Blueprint, Context};

    use super::*;

    struct Idler;

    impl MicroAgent for Idler {
        const NAME: &'static str = "Idler";

        fn blueprint() -> Blueprint<Self> {
            Blueprint::new()
        }

        async fn create(_cx: &Context) -> microagent_core::Result<Self> {
            Ok(Self)
        }
    }

    #[test]
    fn two_agent_types_with_the_same_name_are_rejected() {
        let once = Launcher::new().agent::<Idler>();
        assert_eq!(once.check_names(), Ok(()));
        let failure = once.agent::<Idler>().check_names().unwrap_err();
        assert_eq!(failure.code, exit::USAGE);
        assert!(failure.message.contains("`Idler`"), "{}", failure.message);
    }
}
