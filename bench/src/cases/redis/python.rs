//! The Python package, as the tests install it, at the same work on the same server.

use std::{process::Stdio, time::Duration};

use microagent::prelude::*;
use microagent_testing::python_interpreter;
use tokio::process::Command;

use super::{Bench, failed};
use crate::measure::Cost;

/// Fewer messages than elsewhere: Python needs seconds for them.
pub(super) const COUNT: u32 = 20_000;

/// Measures how the package consumes what waits in the queue.
pub(super) async fn consume(bench: &Bench) -> Result<Cost> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/redis/python.py");
    let output = Command::new(python_interpreter()?)
        .args([script, &bench.server.dsn(), &COUNT.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    let seconds: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(failed)?;
    Ok(Cost::of_others(Duration::from_secs_f64(seconds)))
}
