//! `status`: asks the launcher that runs these settings, and shows the status of its group.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::termios::tcgetwinsize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    signal::ctrl_c,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{print, print_text, run_to_end};
use crate::{
    cli::Files,
    exit::{self, Failure},
    member::control::{self, Question},
    status::{self, GROUP_STATUS_VERSION, GroupStatus},
};

/// The time between two looks with `--watch`.
const PERIOD: Duration = Duration::from_secs(1);

/// The time in which the launcher must answer. It waits itself for its members.
const PATIENCE: Duration = Duration::from_secs(10);

/// Erases the screen and puts the cursor at its begin.
const ERASE: &[u8] = b"\x1b[H\x1b[2J";

/// The width without a terminal.
const WIDTH: usize = 80;

pub(crate) fn run(files: &Files, json: bool, watch: bool) -> Result<(), Failure> {
    let path = status::socket_path(&files.settings).map_err(|error| {
        let shown: Vec<_> = files
            .settings
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        Failure::usage(format!("cannot read {}: {error}", shown.join(", ")))
    })?;
    run_to_end(async {
        if watch {
            return look_until_interrupted(&path, &files.settings, json).await;
        }
        let status = ask(&path, &files.settings).await?;
        show(&status, None, json)?;
        if status::is_ready(&status) {
            Ok(())
        } else {
            // The first line has the reason.
            Err(Failure::failed(""))
        }
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

fn show(status: &GroupStatus, earlier: Option<&GroupStatus>, json: bool) -> Result<(), Failure> {
    if json {
        return print(status);
    }
    let is_terminal = io::stdout().is_terminal();
    let width = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    let width = if width == 0 { WIDTH } else { width };
    if is_terminal && earlier.is_some() {
        erase()
            .map_err(|error| Failure::failed(format!("cannot write to the terminal: {error}")))?;
    }
    let mut lines = status::render(status, earlier, width).into_iter();
    lines.try_for_each(|line| print_text(&line))
}

fn erase() -> io::Result<()> {
    let mut terminal = io::stdout();
    terminal.write_all(ERASE)?;
    terminal.flush()
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
    let settings: Vec<_> = settings
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let (settings, path) = (settings.join(", "), path.display());
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
