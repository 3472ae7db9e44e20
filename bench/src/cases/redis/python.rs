//! The Python package, as the tests install it, at the same work on the same server.

use std::{path::PathBuf, process::Stdio, time::Duration};

use microagent::prelude::*;
use tokio::process::Command;

use super::{Bench, failed};

/// Python is at it for seconds with fewer.
pub(super) const COUNT: u32 = 20_000;

/// How long the package takes for what waits in the queue.
pub(super) async fn consume(bench: &Bench) -> Result<Duration> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/redis/python.py");
    let output = Command::new(interpreter().await?)
        .args([script, &bench.server.dsn(), &COUNT.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    let seconds: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(failed)?;
    Ok(Duration::from_secs_f64(seconds))
}

/// The interpreter that has the package; it is installed where it is missing.
async fn interpreter() -> Result<PathBuf> {
    let services = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
    let installed = Command::new(services)
        .args(["install", "python"])
        .status()
        .await?;
    if !installed.success() {
        return Err(failed(std::io::Error::other(
            "`scripts/services install python` failed",
        )));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = cache
        .or_else(home)
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("microagent/python-1.9.0/bin/python"))
}
