//! Asks a program for its introduction. It judges the program, not what is in it.

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

/// How long a program may take to introduce itself; it connects to nothing, so this is generous.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More than the introduction of a thousand agents.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Runs `PROGRAM __manifest`, `without` these environment variables.
///
/// # Errors
/// Why the program is none that a launcher can use, in words.
pub(crate) fn request_manifest(
    program: &Path,
    request: &ManifestRequest,
    without: &BTreeSet<String>,
) -> Result<ProgramManifest, String> {
    let text = run_manifest_command(program, request, without)
        .map_err(|error| format!("{} {error}", not_a_program(program)))?;
    let version: ProtocolVersion = serde_json::from_str(&text)
        .map_err(|error| format!("{} it said no such JSON: {error}", not_a_program(program)))?;
    if version.protocol != PROTOCOL {
        return Err(format!(
            "{} speaks version {} of the launcher's protocol, this launcher speaks {PROTOCOL}: build both from one release",
            program.display(),
            version.protocol
        ));
    }
    serde_json::from_str(&text).map_err(|error| {
        format!(
            "{} introduces itself otherwise than this launcher expects: build both from one release ({error})",
            program.display()
        )
    })
}

/// What every version says.
#[derive(Deserialize)]
struct ProtocolVersion {
    protocol: u32,
}

fn not_a_program(program: &Path) -> String {
    format!(
        "{} is no program with agents (one whose `main` is `marun::main!`):",
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
    // Whatever it is, nothing of it stays; it fails where all is gone already.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    answer
}

fn exchange(child: &mut Child, question: Vec<u8>) -> io::Result<String> {
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("it has no standard input and output"));
    };
    let (sender, answer) = mpsc::channel();
    // Both in a thread: a program of another kind may neither read nor end.
    thread::spawn(move || {
        // One that does not read is judged by what it says.
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
            // The launcher itself was suspended meanwhile, and the program perhaps with it.
            Err(RecvTimeoutError::Timeout) if asked.elapsed() > TIMEOUT + LATE => {}
            Err(_) => break,
        }
    }
    Err(io::Error::other("it gave no answer within 10 s"))
}
