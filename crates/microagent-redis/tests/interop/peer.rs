//! The Python package as a process that is told what to do.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// The time that Python may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running peer; it is killed when this is dropped.
pub(crate) struct Peer {
    _child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts a peer that receives signals (`receive`), takes messages (`consume`), or both.
    pub(crate) async fn start(python: &Path, dsn: &str, roles: &str) -> Self {
        let mut child = Command::new(python)
            .arg(here("peer.py"))
            .args([dsn, here("signals.json").to_str().unwrap(), roles])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut peer = Self {
            commands: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        };
        assert_eq!(peer.answer().await, "ready");
        peer
    }

    /// Has it do something, and gives what came of that.
    pub(crate) async fn ask(&mut self, command: Value) -> Value {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> Value {
        let line = timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.expect("python does not answer").unwrap();
        serde_json::from_str(&line.expect("python has ended")).unwrap()
    }
}

pub(crate) fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/interop")
        .join(file)
}
