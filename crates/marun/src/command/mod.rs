//! What each command of the command line does: `run`, `check` and `info` work on a plan; `signal` and `queue` on the
//! bus or broker that `source` connects; `cron` on nothing but its arguments. Results go to standard output, everything else to standard error.

pub(crate) mod check;
pub(crate) mod cron;
mod fields;
pub(crate) mod info;
pub(crate) mod queue;
pub(crate) mod run;
pub(crate) mod signal;
mod source;

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

/// Runs a command that talks to a bus or broker, on a runtime of its own.
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
        .map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A thread that waits for standard input must not keep the process.
    runtime.shutdown_background();
    result
}

/// What the libraries beneath warn of goes to standard error.
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
    // An answer is shown as it came, and may hold newlines between its parts.
    if text.contains(['\n', '\r']) {
        print_text(&compact(&text))
    } else {
        print_text(&text)
    }
}

/// JSON of somebody else, byte for byte. Where it holds a newline, which is allowed in JSON and not in a line of it, the white
/// space between its tokens goes.
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
    print_line(text).map_err(|error| Failure::failed(format!("standard output: {error}")))
}

/// A message for people.
fn print_message(message: impl std::fmt::Display) {
    // A command does its work whether or not somebody reads along.
    print_error(&message.to_string());
}
