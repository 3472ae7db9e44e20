//! Installs the `tracing` subscriber of a process.

use std::{
    env,
    fmt::Result as FmtResult,
    io::{self, IsTerminal},
    time::SystemTime,
};

use humantime::format_rfc3339_millis;
use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        self, FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Full, Writer, format},
        time::FormatTime,
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The format of log lines. Agents get it from the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LogFormat {
    /// Text, with or without colours.
    Text {
        /// The lines are coloured.
        color: bool,
        /// The lines are written to a terminal and therefore short.
        #[serde(default)]
        terminal: bool,
    },
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// Returns the format for standard error.
    pub(crate) fn of_standard_error() -> Self {
        Self::Text {
            color: false,
            terminal: io::stderr().is_terminal(),
        }
    }
}

/// The client libraries whose events are left out unless `RUST_LOG` selects them: the driver
/// reports the same failures as errors, and they are failures to the client where the driver only
/// asks, such as for a queue that does not exist.
const CLIENTS: &str = "lapin=off";

/// Installs a subscriber that writes the events of this process to `writer`: those of `level` and
/// above without those of client libraries, or those that `RUST_LOG` selects.
///
/// If the program has installed a subscriber before, that one stays.
pub(crate) fn install<W>(format: LogFormat, level: LevelFilter, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    install_with(format, level, writer, None);
}

/// A layer of the subscriber that gets the spans and events beside the log, and chooses them itself.
pub(crate) type MoreLayers = Option<Box<dyn Layer<Registry> + Send + Sync>>;

/// As [`install`], with one more layer.
pub(crate) fn install_with<W>(format: LogFormat, level: LevelFilter, writer: W, more: MoreLayers)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let selected = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = EnvFilter::builder().parse_lossy(directives(&selected, level));
    // An internal error that cannot be printed to a closed standard error would panic.
    let log = fmt::layer().log_internal_errors(false).with_writer(writer);
    let log = match format {
        LogFormat::Text { color, terminal } => {
            let log = log.with_ansi(color);
            if terminal {
                log.event_format(Short::new()).boxed()
            } else {
                log.boxed()
            }
        }
        LogFormat::Json => log.json().boxed(),
    };
    // It fails only if there is a subscriber already.
    let installed = match more {
        None => Registry::default().with(log).with(filter).try_init(),
        Some(more) => {
            let layers = vec![log.with_filter(filter).boxed(), more];
            Registry::default().with(layers).try_init()
        }
    };
    drop(installed);
}

/// Returns the directives of a filter.
fn directives(selected: &str, level: LevelFilter) -> String {
    if selected.trim().is_empty() {
        return format!("{level},{CLIENTS}");
    }
    selected.to_owned()
}

/// The format for a terminal: the time without the date, and the module only for debug and trace
/// lines.
struct Short {
    message: Format<Full, TimeOfDay>,
    detail: Format<Full, TimeOfDay>,
}

impl Short {
    fn new() -> Self {
        let detail = format().with_timer(TimeOfDay);
        Self {
            message: detail.clone().with_target(false),
            detail,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Short
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> FmtResult {
        match *event.metadata().level() {
            Level::DEBUG | Level::TRACE => self.detail.format_event(context, writer, event),
            _ => self.message.format_event(context, writer, event),
        }
    }
}

/// The time of day in UTC, with milliseconds.
#[derive(Clone)]
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut Writer<'_>) -> FmtResult {
        let now = format_rfc3339_millis(SystemTime::now()).to_string();
        // The time of `2026-01-01T12:00:00.000Z`.
        writer.write_str(now.get(11..23).unwrap_or(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::tests::Memory;

    #[test]
    fn client_libraries_are_heard_only_if_somebody_asks() {
        assert_eq!(directives("", LevelFilter::WARN), "warn,lapin=off");
        assert_eq!(directives("debug", LevelFilter::WARN), "debug");
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(directives("", LevelFilter::WARN)))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "lapin::channel", "Channel closed");
            tracing::info!("not this");
            tracing::warn!("cannot connect");
        });
        let text = memory.text();
        assert!(text.contains("cannot connect"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn lines_for_a_terminal_have_no_date_and_modules_only_below_info() {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Short::new())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(n = 7, "one");
            tracing::debug!("two");
        });
        let text = memory.text();
        let lines: Vec<_> = text.lines().map(|line| line.split_at(12)).collect();
        let rest: Vec<_> = lines.iter().map(|(_, rest)| *rest).collect();
        assert_eq!(
            rest,
            ["  INFO one n=7", " DEBUG marun::logging::tests: two"]
        );
        for (time, _) in lines {
            let shape = time.replace(|c: char| c.is_ascii_digit(), "0");
            assert_eq!(shape, "00:00:00.000", "{time}");
        }
    }

    #[test]
    fn the_format_of_an_older_launcher_is_accepted() {
        let format: LogFormat = serde_json::from_str(r#"{"Text":{"color":true}}"#).unwrap();
        let expected = LogFormat::Text {
            color: true,
            terminal: false,
        };
        assert_eq!(format, expected);
    }
}
