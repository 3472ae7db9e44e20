//! The server of the suites: a folder whose hub another process hosts.

use std::sync::Mutex;

use microagent_core::Result;
use microagent_local::{LocalBroker, LocalBus, LocalOptions};
use microagent_testing::failure_suite::{FailureServer, Journal, Process, Program};
use tempfile::TempDir;

use crate::process::{HostLog, play};

pub(crate) struct Hosted {
    folder: TempDir,
    program: Program,
    journal: Journal,
    host: Mutex<Option<Process>>,
}

impl Hosted {
    fn host(&self) -> u32 {
        let command = self.program.command("host", &self.address());
        let host = Process::start(command, &self.journal);
        let id = host.id();
        *self.host.lock().unwrap() = Some(host);
        id
    }

    fn with_host(&self, run: impl FnOnce(&Process)) {
        self.host.lock().unwrap().as_ref().map(run);
    }
}

fn options(address: &str) -> Result<LocalOptions> {
    LocalOptions::parse(&format!("local:{address}"))
}

impl FailureServer for Hosted {
    type Bus = LocalBus;
    type Broker = LocalBroker;

    async fn start(program: Program) -> Result<Self> {
        let server = Self {
            folder: tempfile::tempdir()?,
            program,
            journal: Journal::default(),
            host: Mutex::default(),
        };
        let host = server.host();
        assert_eq!(server.journal.hosts(1).await, host);
        Ok(server)
    }

    fn address(&self) -> String {
        self.folder.path().display().to_string()
    }

    async fn bus(address: &str) -> Result<LocalBus> {
        LocalBus::connect_apart(&options(address)?).await
    }

    async fn broker(address: &str) -> Result<LocalBroker> {
        LocalBroker::connect_apart(&options(address)?).await
    }

    fn crash(broker: &LocalBroker) {
        broker.crash();
    }

    /// Another process that uses the folder takes over.
    async fn kill(&self) -> Result<()> {
        let host = self.host.lock().unwrap().take();
        host.into_iter().for_each(Process::kill);
        Ok(())
    }

    async fn restart(&self) -> Result<()> {
        self.host();
        Self::bus(&self.address()).await.map(drop)
    }

    async fn cut(&self) -> Result<()> {
        self.kill().await
    }

    fn stall(&self) {
        self.with_host(Process::stop);
    }

    fn resume(&self) {
        self.with_host(Process::resume);
    }

    async fn play(part: &str, address: &str) -> Result<()> {
        play(part, address).await
    }
}
