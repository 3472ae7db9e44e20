//! The Python package, as the tests install it, at the same work on the same server.

use std::{process::Stdio, time::Duration};

use microagent::prelude::*;
use microagent_testing::python_interpreter;
use tokio::process::Command;
#[cfg(feature = "kafka")]
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::ChildStdout,
    time::timeout,
};

use crate::measure::Cost;

/// Fewer messages than elsewhere: Python needs seconds for them.
pub(super) const COUNT: u32 = 20_000;

/// A message that does not count.
#[cfg(feature = "kafka")]
pub(super) const PROBE: &str = r#"{"user_id":0,"text":"Probe","email":"user@lwr.pw"}"#;

/// The pause between two probes.
#[cfg(feature = "kafka")]
const PROBE_AGAIN: Duration = Duration::from_millis(100);

/// Measures how the package consumes what waits in the queue.
pub(super) async fn consume(dsn: &str) -> Result<Cost> {
    let output = command(dsn, COUNT, "mailer")?.output().await?;
    cost(&String::from_utf8_lossy(&output.stdout))
}

/// Measures how the package consumes so many messages that are sent while it runs: it gets probes until it receives one, and then the messages.
#[cfg(feature = "kafka")]
pub(super) async fn consume_live(
    dsn: &str,
    count: u32,
    queue: &str,
    probe: impl AsyncFn() -> Result<()>,
    fill: impl AsyncFnOnce() -> Result<()>,
) -> Result<Cost> {
    let mut child = command(dsn, count, queue)?.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("python has no output")?;
    let mut lines = BufReader::new(output).lines();
    loop {
        probe().await?;
        if let Ok(line) = timeout(PROBE_AGAIN, next(&mut lines)).await {
            line?;
            break;
        }
    }
    fill().await?;
    cost(&next(&mut lines).await?)
}

#[cfg(feature = "kafka")]
async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    let line = lines.next_line().await?;
    line.ok_or_else(|| "python has ended".into())
}

fn command(dsn: &str, count: u32, queue: &str) -> Result<Command> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/python.py");
    let mut command = Command::new(python_interpreter()?);
    command
        .args([script, dsn, &count.to_string(), queue])
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    Ok(command)
}

/// Reads the two numbers that the script prints.
fn cost(printed: &str) -> Result<Cost> {
    let seconds = |text: Option<&str>| Duration::try_from_secs_f64(text?.parse().ok()?).ok();
    let mut numbers = printed.split_whitespace();
    let cost = seconds(numbers.next()).zip(seconds(numbers.next()));
    let (time, cpu) = cost.ok_or_else(|| {
        format!("python printed `{printed}`: expected its seconds and those of its processor time")
    })?;
    Ok(Cost::of_process(time, cpu))
}
