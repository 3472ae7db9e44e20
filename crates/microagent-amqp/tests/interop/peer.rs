//! The Python package as a process that is told what to do.

use std::{path::Path, process::Stdio, time::Duration};

use microagent_testing::python_interpreter;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// The longest time that Python may take for one command.
const LIMIT: Duration = Duration::from_secs(60);

/// A running peer; it is killed when this is dropped.
pub(crate) struct Peer {
    _child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts a peer that consumes these queues.
    pub(crate) async fn start(dsn: &str, queues: &str) -> Self {
        let python = python_interpreter().expect("an interpreter with the package");
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(python)
            // The tests of Kafka use this file, too.
            .arg(own.join("../microagent-amqp/tests/interop/peer.py"))
            .arg(dsn)
            .arg(own.join("tests/interop/signals.json"))
            .arg(queues)
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

    /// Makes it do something and returns the result.
    pub(crate) async fn ask(&mut self, command: Value) -> Value {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> Value {
        let line = timeout(LIMIT, self.answers.next_line()).await;
        let line = line.expect("python does not answer").unwrap();
        serde_json::from_str(&line.expect("python has ended")).unwrap()
    }
}
