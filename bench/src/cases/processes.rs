//! Consumers in processes of their own, as the process that starts them sees them.

use std::{process::Stdio, time::Duration};

use microagent::Result;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};

use super::worker::{READY, Work};
use crate::measure::{Cost, Stopwatch};

/// The longest time without progress.
const SILENCE: Duration = Duration::from_secs(30);

/// Measures how this many processes consume `count` messages that wait already. The clock starts when all processes are
/// connected and ends when they have acknowledged everything and ended.
pub(crate) async fn consume(work: Work, target: &str, processes: u32, count: u32) -> Result<Cost> {
    let mut workers = Vec::new();
    for _ in 0..processes {
        workers.push(Worker::start(work, target)?);
    }
    for worker in &mut workers {
        worker.wait_until_ready().await?;
    }
    let watch = Stopwatch::start();
    let (handled, mut progress) = mpsc::unbounded_channel();
    let mut children = Vec::new();
    for worker in workers {
        children.push(worker.begin(handled.clone()).await?);
    }
    drop(handled);
    let mut left = count;
    while left > 0 {
        let silence = |_| format!("{left} messages are left, and nothing happens");
        let handled = timeout(SILENCE, progress.recv()).await.map_err(silence)?;
        let handled: u32 = handled.ok_or("all consumers have ended too early")?;
        left = left.saturating_sub(handled);
    }
    for child in children {
        end(child).await?;
    }
    Ok(watch.stop_for_others())
}

/// A process that consumes.
struct Worker {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(work: Work, target: &str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["worker", work.name(), target])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the process has no output")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { process, lines })
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        match self.lines.next_line().await?.as_deref() {
            Some(READY) => Ok(()),
            other => Err(format!("a consumer is not ready, but says {other:?}").into()),
        }
    }

    /// Lets the process consume. `progress` gets the number of messages that it has handled since the last time.
    async fn begin(mut self, progress: mpsc::UnboundedSender<u32>) -> Result<Child> {
        let stdin = self.process.stdin.as_mut();
        let stdin = stdin.ok_or("the process has no input")?;
        stdin.write_all(b"begin\n").await?;
        let mut lines = self.lines;
        tokio::spawn(async move {
            let mut before = 0;
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(handled) = line.parse::<u32>() else {
                    break;
                };
                // The case may have ended.
                let _ = progress.send(handled - before);
                before = handled;
            }
        });
        Ok(self.process)
    }
}

/// Lets a process acknowledge what it has handled, and waits for its end.
async fn end(mut process: Child) -> Result<()> {
    drop(process.stdin.take());
    let status = process.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("a consumer has failed: {status}").into())
    }
}
