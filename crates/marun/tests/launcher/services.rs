//! What a test needs of the machine, and how it is told to go without.

use std::{
    env,
    io::{self, Write},
};

/// Says aloud that a test goes without this service, which it may only where `SKIP_SERVICES` names it.
pub(crate) fn go_without(service: &str, test: &str, why: &str) {
    let skipped = env::var("SKIP_SERVICES").unwrap_or_default();
    assert!(
        skipped.split_whitespace().any(|name| name == service),
        "{why}, and SKIP_SERVICES=\"{service}\" goes without"
    );
    let line = format!("\nskipped: {test}: `SKIP_SERVICES` says to go without {service}\n");
    // Past the harness, which keeps what a passed test prints to itself.
    io::stderr().write_all(line.as_bytes()).unwrap();
}
