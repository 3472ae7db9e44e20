//! The Python package, as the tests install it, at the same work on the same server.

use std::{process::Stdio, time::Duration};

use microagent::prelude::*;
use microagent_testing::python_interpreter;
use tokio::process::Command;

use crate::measure::Cost;

/// Fewer messages than elsewhere: Python needs seconds for them.
pub(super) const COUNT: u32 = 20_000;

/// Measures how the package consumes what waits in the queue.
pub(super) async fn consume(dsn: &str) -> Result<Cost> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/python.py");
    let output = Command::new(python_interpreter()?)
        .args([script, dsn, &COUNT.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let seconds: f64 = printed
        .trim()
        .parse()
        .map_err(|_| format!("python printed `{printed}`: expected its seconds"))?;
    Ok(Cost::of_others(Duration::from_secs_f64(seconds)))
}
