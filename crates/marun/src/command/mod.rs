//! The commands of the command line.
//!
//! `run`, `check` and `info` use a plan of settings files. `status` asks a running launcher. `signal` and `queue` use a bus or
//! broker, which `source` connects. Results are printed to standard output, messages to standard
//! error.

pub(crate) mod check;
pub(crate) mod cron;
mod fields;
pub(crate) mod info;
pub(crate) mod queue;
pub(crate) mod run;
pub(crate) mod signal;
mod source;
pub(crate) mod status;

pub(crate) use self::queue::Rate;

use std::borrow::Cow;

use microagent_schema::compact;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;

use crate::{
    exit::Failure,
    logging::{self, LogFormat},
    standard::{Standard, print_error, print_line},
};

/// Runs a command that uses a bus or broker, on a runtime of its own.
fn run_to_end(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    logging::install(
        LogFormat::of_standard_error(),
        LevelFilter::WARN,
        Standard::error,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start a runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A thread that waits for standard input must not keep the process alive.
    runtime.shutdown_background();
    result
}

/// Prints warnings of the libraries to standard error.
fn show_warnings() {
    logging::install(
        LogFormat::of_standard_error(),
        LevelFilter::WARN,
        Standard::error,
    );
}

/// Prints a result as one line of JSON.
fn print(result: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(result).map_err(|error| Failure::failed(error.to_string()))?;
    // An answer is printed as it was received, and may contain newlines between its tokens.
    if text.contains(['\n', '\r']) {
        print_text(&compact(&text))
    } else {
        print_text(&text)
    }
}

/// Returns JSON as one line. It stays the same, byte for byte, unless it contains newlines; then
/// the white space between its tokens is removed.
fn single_line(json: &str) -> serde_json::Result<Cow<'_, RawValue>> {
    let raw: &RawValue = serde_json::from_str(json)?;
    if raw.get().contains(['\n', '\r']) {
        RawValue::from_string(compact(raw.get()).into_owned()).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(raw))
    }
}

/// Prints a line of text.
fn print_text(text: &str) -> Result<(), Failure> {
    print_line(text)
        .map_err(|error| Failure::failed(format!("cannot write to standard output: {error}")))
}

/// Prints a message to standard error.
fn print_message(message: impl std::fmt::Display) {
    print_error(&message.to_string());
}
