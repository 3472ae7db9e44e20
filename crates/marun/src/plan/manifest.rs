//! Requests the manifest of a program.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use crate::{
    hidden,
    member::{
        control::PROTOCOL,
        manifest::{ManifestRequest, ProgramManifest},
    },
    supervise::{LATE, MOST_GRANTS},
};

/// The time in which a program must answer. It connects to nothing, so this is long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest manifest in bytes, more than a thousand agents need.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Runs `PROGRAM __manifest`, `without` these environment variables, and returns the manifest.
///
/// # Errors
/// Returns a message if the launcher cannot use the program.
pub(crate) fn request_manifest(
    program: &Path,
    request: &ManifestRequest,
    without: &BTreeSet<String>,
) -> Result<ProgramManifest, String> {
    let text = run_manifest_command(program, request, without)
        .map_err(|error| format!("{} {error}", not_a_program(program)))?;
    let version: ProtocolVersion = serde_json::from_str(&text)
        .map_err(|error| format!("{} invalid manifest: {error}", not_a_program(program)))?;
    if version.protocol != PROTOCOL {
        return Err(format!(
            "{} uses version {} of the launcher's protocol, but this launcher uses {PROTOCOL}; build both from the same release",
            program.display(),
            version.protocol
        ));
    }
    serde_json::from_str(&text).map_err(|error| {
        format!(
            "invalid manifest of {}; build it and this launcher from the same release: {error}",
            program.display()
        )
    })
}

/// The part of a manifest that all versions have.
#[derive(Deserialize)]
struct ProtocolVersion {
    protocol: u32,
}

fn not_a_program(program: &Path) -> String {
    format!(
        "{} is not a program with agents, whose `main` is `marun::main!`:",
        program.display()
    )
}

fn run_manifest_command(
    program: &Path,
    request: &ManifestRequest,
    without: &BTreeSet<String>,
) -> io::Result<String> {
    let question = serde_json::to_vec(request)?;
    let mut command = Command::new(program);
    for name in without {
        command.env_remove(name);
    }
    let mut child = command
        .arg(hidden::MANIFEST)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let answer = exchange(&mut child, question);
    // No process of the program may remain. It fails if all have ended.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    answer
}

fn exchange(child: &mut Child, question: Vec<u8>) -> io::Result<String> {
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no standard input and output"));
    };
    let (sender, answer) = mpsc::channel();
    // In a thread, because a program without agents may neither read nor end.
    thread::spawn(move || {
        // An error means that the program does not read; its answer decides.
        let _ = to.write_all(&question);
        drop(to);
        let mut text = String::new();
        let read = from.take(MAX_BYTES).read_to_string(&mut text);
        sender.send(read.map(|_| text))
    });
    for _ in 0..=MOST_GRANTS {
        let asked = Instant::now();
        match answer.recv_timeout(TIMEOUT) {
            Ok(answer) => return answer,
            // The launcher itself was suspended in this time, and perhaps the program with it.
            Err(RecvTimeoutError::Timeout) if asked.elapsed() > TIMEOUT + LATE => {}
            Err(_) => break,
        }
    }
    Err(io::Error::other("no answer within 10 s"))
}
