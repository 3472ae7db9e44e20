//! The arguments of the command line. `command` runs the commands.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::command::Rate;

/// Runs a group of MicroAgent agents, each in its own process
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure, 2 invalid usage or configuration, \
    3 no receiver for a call and no answer for `status`, 4 no answer in time.\nRUST_LOG selects the log lines, for example RUST_LOG=debug.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agents of settings files as one group; the word `run` is optional
    Run {
        #[command(flatten)]
        files: Files,
        /// Format of the common log
        #[arg(long, value_enum, default_value_t = Log::Text)]
        log: Log,
        /// Serve metrics and health over HTTP on this address, for example 0.0.0.0:9090
        #[arg(long, value_name = "ADDR", env = "MARUN_HTTP")]
        http: Option<String>,
    },
    /// Check settings files without starting anything
    Check {
        #[command(flatten)]
        files: Files,
    },
    /// Show the agents and handlers that would run, without starting anything
    Info {
        #[command(flatten)]
        files: Files,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the agents of a running group do, and what is wrong
    Status {
        #[command(flatten)]
        of: StatusOf,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show it again each second, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Send signals, call receivers, listen to signals
    #[command(subcommand)]
    Signal(Signal),
    /// Send messages to queues; show, move and delete messages
    #[command(subcommand)]
    Queue(Queue),
    /// Explain cron schedules
    #[command(subcommand)]
    Cron(Cron),
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Settings files, .toml or .json; several files form one group
    #[arg(required = true, value_name = "SETTINGS")]
    pub(crate) settings: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOf {
    /// Settings files of the launcher to ask
    #[arg(required_unless_present = "bus", value_name = "SETTINGS")]
    pub(crate) settings: Vec<PathBuf>,
    /// Ask all agents on this bus, on any machine, such as redis://localhost/7
    #[arg(long, conflicts_with = "settings", value_name = "DSN")]
    pub(crate) bus: Option<String>,
    /// Prefix of the agents on the bus [default: PUBSUB]
    #[arg(long, requires = "bus", conflicts_with = "settings")]
    pub(crate) prefix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// `agent | line`
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Signal {
    /// Send a signal to all agents that listen to it
    Send(SignalSend),
    /// Send a signal and print the first answer
    Call {
        #[command(flatten)]
        send: SignalSend,
        /// Time to wait for the answer
        #[arg(long, default_value = "60", value_name = "SECONDS")]
        timeout: String,
        /// Print the answers of all processes, one per line, until each has answered or the time is over
        #[arg(long)]
        all: bool,
    },
    /// Print each signal of this name as a line of JSON, until Ctrl-C
    Listen {
        /// Name of the signal
        name: String,
        #[command(flatten)]
        bus: BusArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SignalSend {
    /// Name of the signal
    pub(crate) name: String,
    /// Arguments of the signal: `key=text` or `key:=json`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) fields: Vec<String>,
    /// Name of the sender
    #[arg(long, default_value = "marun")]
    pub(crate) sender: String,
    #[command(flatten)]
    pub(crate) bus: BusArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BusArgs {
    #[command(flatten)]
    pub(crate) source: BusSource,
    /// Prefix of all channel names, with --bus [default: the prefix in the declarations, or PUBSUB]
    #[arg(long, conflicts_with = "settings")]
    pub(crate) prefix: Option<String>,
    /// Path or URL of signals.json, with --bus
    #[arg(long, conflicts_with = "settings", value_name = "URL")]
    pub(crate) declarations: Option<String>,
    /// Name of the bus in the settings, if there are several
    #[arg(
        long = "name",
        id = "section",
        conflicts_with = "bus",
        value_name = "NAME"
    )]
    pub(crate) bus_name: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BusSource {
    /// DSN of the bus, such as local:data or redis://localhost/7
    #[arg(long, value_name = "DSN")]
    pub(crate) bus: Option<String>,
    /// Settings file with the bus
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Send a message, or with `-` one message per line of JSON on standard input
    Send {
        /// Name of the queue
        name: String,
        /// Fields of the message: `key=text` or `key:=json`; or `-`
        #[arg(value_name = "KEY=VALUE")]
        fields: Vec<String>,
        /// Key of the message, or of all messages: those with one key are handled in their order. Only Kafka has keys
        #[arg(long, value_name = "TEXT")]
        key: Option<String>,
        #[command(flatten)]
        broker: BrokerArgs,
    },
    /// Print the number of messages in a queue
    Length {
        /// Name of the queue
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        broker: BrokerArgs,
    },
    /// Show the waiting messages, the next one first, without consuming them
    Peek {
        /// Name of the queue
        name: String,
        #[command(flatten)]
        browse: BrowseArgs,
    },
    /// Show the dead letters of a queue and their reasons
    Dead {
        /// Name of the queue
        name: String,
        /// Name of the queue with the dead letters [default: NAME.dead]
        #[arg(long, value_name = "QUEUE")]
        from: Option<String>,
        /// Show only the dead letter with this id
        #[arg(long, value_name = "ID", conflicts_with = "limit")]
        id: Option<String>,
        #[command(flatten)]
        browse: BrowseArgs,
    },
    /// Move dead letters back to their queue, the oldest first, and print how many were moved
    Requeue {
        /// Name of the queue
        name: String,
        /// Name of the queue with the dead letters [default: NAME.dead]
        #[arg(long, value_name = "QUEUE")]
        from: Option<String>,
        /// Move at most this many [default: all that are there now]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Move only the dead letter with this id, as `queue dead` shows it
        #[arg(long, value_name = "ID", conflicts_with = "limit")]
        id: Option<String>,
        /// Move at most this many per second, minute or hour: 20/s, 5/m, 1/h
        #[arg(long, value_name = "N/s", conflicts_with = "id")]
        rate: Option<Rate>,
        #[command(flatten)]
        broker: BrokerArgs,
    },
    /// Return retries and unfinished messages to a Redis list, for consumers in other languages, and print how many
    Release {
        /// Name of the queue; all agents that consume it must be stopped
        name: String,
        #[command(flatten)]
        broker: BrokerArgs,
    },
    /// Delete the waiting messages, and print how many were deleted
    Purge {
        /// Name of the queue; NAME.dead holds the dead letters of NAME
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Delete at most this many, from the head of the queue [default: all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Delete only the message with this id, as `queue peek` shows it
        #[arg(long, value_name = "ID", conflicts_with = "limit")]
        id: Option<String>,
        #[command(flatten)]
        broker: BrokerArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BrowseArgs {
    /// Show at most this many
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Print one JSON object per line, with the whole message
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    pub(crate) source: BrokerSource,
    /// Path or URL of signals.json, with --broker
    #[arg(long, conflicts_with = "settings", value_name = "URL")]
    pub(crate) declarations: Option<String>,
    /// Name of the broker in the settings, if there are several
    #[arg(
        long = "name",
        id = "section",
        conflicts_with = "broker",
        value_name = "NAME"
    )]
    pub(crate) broker_name: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BrokerSource {
    /// DSN of the broker, such as local:data or redis://localhost/7
    #[arg(long, value_name = "DSN")]
    pub(crate) broker: Option<String>,
    /// Settings file with the broker
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cron {
    /// Print the next instants of a schedule, in UTC, one per line
    Explain(CronExplain),
}

#[derive(Debug, Args)]
pub(crate) struct CronExplain {
    /// Schedule, in quotes: minute, hour, day of month, month and day of week, or a nickname like @daily
    // A field may be negative by mistake. The error must come from the schedule, not from the command line.
    #[arg(allow_hyphen_values = true)]
    pub(crate) spec: String,
    /// Time zone of the schedule, an IANA name
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub(crate) tz: String,
    /// Instant to start after, such as 2026-02-01T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Number of instants
    #[arg(short = 'n', default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
}

impl Cli {
    /// Parses the arguments of the process, the program's name first.
    pub(crate) fn parse_args(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(with_command(arguments))
    }
}

/// Inserts `run` before a settings file: `marun settings.toml` means `marun run settings.toml`. A word without `.` and `/` is not a
/// settings file but a mistyped command.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some(first) = arguments.get(1).map(|first| first.to_string_lossy())
        && !is_command_or_help(&first)
        && (first.starts_with('-') || first.contains(['.', '/']))
    {
        arguments.insert(1, "run".into());
    }
    arguments
}

fn is_command_or_help(word: &str) -> bool {
    matches!(word, "-h" | "--help" | "-V" | "--version")
        || Cli::command().find_subcommand(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let arguments = std::iter::once("marun").chain(line.split_whitespace());
        Cli::parse_args(arguments.map(OsString::from).collect())
    }

    #[test]
    fn the_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_not_inserted_before_a_command() {
        for command in Cli::command().get_subcommands() {
            let name = OsString::from(command.get_name());
            let arguments = vec!["marun".into(), name];
            assert_eq!(with_command(arguments.clone()), arguments);
        }
    }

    #[test]
    fn a_mistyped_command_is_not_a_settings_file() {
        let error = parse("chek s.toml").unwrap_err().to_string();
        assert!(
            error.contains("'chek'") && error.contains("'check'"),
            "{error}"
        );
    }

    #[test]
    fn run_is_optional() {
        for line in [
            "run a.toml b.json",
            "a.toml b.json",
            "--log text a.toml b.json",
        ] {
            let Command::Run { files, log, .. } = parse(line).unwrap().command else {
                panic!("{line}");
            };
            assert_eq!(
                files.settings,
                [PathBuf::from("a.toml"), PathBuf::from("b.json")]
            );
            assert_eq!(log, Log::Text);
        }
    }

    #[test]
    fn invalid_usage_has_its_exit_code() {
        let lines = [
            "",
            "run",
            "check",
            "signal send",
            "signal send started",
            "signal send started --bus x --settings y",
            "signal send started --settings y --prefix z",
            "queue length",
            "status",
            "status s.toml --bus redis://",
            "status s.toml --prefix P",
            "queue send mailer --broker x --name y",
            "queue peek mailer --broker x --limit 0",
            "queue requeue mailer --broker x --limit -1",
            "queue purge --broker x",
            "a.toml --log yaml",
        ];
        for line in lines {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(crate::exit::USAGE), "{line}");
        }
    }

    #[test]
    fn a_call_is_parsed() {
        let Command::Signal(Signal::Call { send, timeout, all }) =
            parse("signal call sum a:=1 b=x --bus redis:// --prefix P --timeout 1.5")
                .unwrap()
                .command
        else {
            panic!("signal call");
        };
        assert_eq!((send.name.as_str(), timeout.as_str()), ("sum", "1.5"));
        assert!(!all);
        assert_eq!(send.fields, ["a:=1", "b=x"]);
        assert_eq!(send.bus.prefix.as_deref(), Some("P"));
    }
}
