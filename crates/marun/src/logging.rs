//! Sets up `tracing` for a process: what is written, how, and where to. It writes nothing itself.

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// How log lines look; the supervisor tells its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LogFormat {
    /// For people, with or without colours.
    Text {
        /// Whether a terminal shows it.
        color: bool,
    },
    /// One JSON object per line.
    Json,
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
        LogFormat::Text { color } => builder.with_ansi(color).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // The only reason to fail is a subscriber that is there already.
    drop(installed);
}
