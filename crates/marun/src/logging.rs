//! Sets up `tracing` for a process: what is written, how, and where to. It writes nothing itself.

use std::{
    fmt,
    io::{self, IsTerminal},
    time::SystemTime,
};

use humantime::format_rfc3339_millis;
use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Full, Writer, format},
        time::FormatTime,
    },
    registry::LookupSpan,
};

/// How log lines look; the supervisor tells its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LogFormat {
    /// For people, with or without colours.
    Text {
        /// Whether it is coloured.
        color: bool,
        /// Whether a terminal shows it: then it is short.
        #[serde(default)]
        terminal: bool,
    },
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// The format of messages on standard error.
    pub(crate) fn of_standard_error() -> Self {
        Self::Text {
            color: false,
            terminal: io::stderr().is_terminal(),
        }
    }
}

/// Sends this process's events to `writer`: from `level` on, or as `RUST_LOG` says.
///
/// A program that has set up `tracing` before keeps its own way.
pub(crate) fn install<W>(format: LogFormat, level: LevelFilter, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Complaining about a closed standard error on standard error would be a panic.
        .log_internal_errors(false)
        .with_writer(writer);
    let installed = match format {
        LogFormat::Text { color, terminal } => {
            let builder = builder.with_ansi(color);
            if terminal {
                builder.event_format(Short::new()).try_init()
            } else {
                builder.try_init()
            }
        }
        LogFormat::Json => builder.json().try_init(),
    };
    // The only reason to fail is a subscriber that is there already.
    drop(installed);
}

/// Lines for a terminal: the time of the day, and the module only where somebody looks for it.
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
    ) -> fmt::Result {
        match *event.metadata().level() {
            Level::DEBUG | Level::TRACE => self.detail.format_event(context, writer, event),
            _ => self.message.format_event(context, writer, event),
        }
    }
}

/// The time of the day in UTC, with milliseconds.
#[derive(Clone)]
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = format_rfc3339_millis(SystemTime::now()).to_string();
        // Of `2026-01-01T12:00:00.000Z` the time.
        writer.write_str(now.get(11..23).unwrap_or(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::tests::Memory;

    #[test]
    fn a_terminal_gets_the_time_of_the_day_and_modules_for_details_only() {
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
    fn the_format_of_an_older_launcher_is_understood() {
        let format: LogFormat = serde_json::from_str(r#"{"Text":{"color":true}}"#).unwrap();
        let expected = LogFormat::Text {
            color: true,
            terminal: false,
        };
        assert_eq!(format, expected);
    }
}
