//! Asks the launcher that runs settings files.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    signal::ctrl_c,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{run_to_end, show, show_once};
use crate::{
    exit::{self, Failure},
    member::control::{self, Question},
    status::{self, GROUP_STATUS_VERSION, GroupStatus},
};

/// The time between two looks with `--watch`.
const PERIOD: Duration = Duration::from_secs(1);

/// The time in which the launcher must answer. It waits itself for its members.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(settings: &[PathBuf], json: bool, watch: bool) -> Result<(), Failure> {
    let path = status::socket_path(settings)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", names(settings))))?;
    run_to_end(async {
        if watch {
            return look_until_interrupted(&path, settings, json).await;
        }
        show_once(&ask(&path, settings).await?, json)
    })
}

async fn look_until_interrupted(
    path: &Path,
    settings: &[PathBuf],
    json: bool,
) -> Result<(), Failure> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut earlier = None;
    loop {
        tokio::select! {
            _ = ctrl_c() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let status = ask(path, settings).await?;
        show(&status, earlier.as_ref(), json)?;
        earlier = Some(status);
    }
}

/// Asks the launcher.
async fn ask(path: &Path, settings: &[PathBuf]) -> Result<GroupStatus, Failure> {
    let answer = timeout(PATIENCE, exchange(path)).await;
    let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let answer = answer.map_err(|error| nobody(path, settings, &error))?;
    let version = serde_json::from_slice::<Version>(&answer).map(|answer| answer.version);
    match version {
        Ok(version) if version != GROUP_STATUS_VERSION => Err(Failure::failed(format!(
            "the launcher speaks version {version} of the status, this program {GROUP_STATUS_VERSION}: use the same version"
        ))),
        _ => serde_json::from_slice(&answer).map_err(|error| {
            Failure::failed(format!("cannot read the launcher's answer: {error}"))
        }),
    }
}

#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

async fn exchange(path: &Path) -> io::Result<Vec<u8>> {
    let mut socket = UnixStream::connect(path).await?;
    socket.write_all(&control::line(&Question::Status)?).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

fn nobody(path: &Path, settings: &[PathBuf], error: &io::Error) -> Failure {
    let (settings, path) = (names(settings), path.display());
    let message = match error.kind() {
        // The socket of a launcher that was killed stays until its successor starts.
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("no launcher of {settings} is running: nobody answers on {path}")
        }
        io::ErrorKind::TimedOut => format!(
            "the launcher of {settings} did not answer on {path} within {} s",
            PATIENCE.as_secs()
        ),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => {
            format!("the launcher of {settings} ended without an answer on {path}")
        }
        _ => format!("cannot ask the launcher of {settings} on {path}: {error}"),
    };
    Failure {
        code: exit::NO_RESPONDERS,
        message,
    }
}

fn names(settings: &[PathBuf]) -> String {
    let names = settings.iter().map(|file| file.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}
