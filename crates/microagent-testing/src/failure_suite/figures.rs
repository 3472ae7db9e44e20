//! The size of a test, and the figures that it shows.

use std::{env, io::Write};

/// Returns the value of a variable that makes a test larger; `None` if it is not set.
///
/// # Panics
/// When it is not a number.
#[must_use]
pub fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Shows figures of a run, also of one that passes.
pub fn say(line: &str) {
    drop(std::io::stderr().write_all(format!("\n{line}\n").as_bytes()));
}
