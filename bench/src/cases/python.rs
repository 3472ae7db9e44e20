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
    let seconds = |text: Option<&str>| Duration::try_from_secs_f64(text?.parse().ok()?).ok();
    let mut numbers = printed.split_whitespace();
    let cost = seconds(numbers.next()).zip(seconds(numbers.next()));
    let (time, cpu) = cost.ok_or_else(|| {
        format!("python printed `{printed}`: expected its seconds and those of its processor time")
    })?;
    Ok(Cost::of_process(time, cpu))
}
