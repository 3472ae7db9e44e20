//! A folder whose hub another process hosts, to be killed when a test says so.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's own process fails loudly and talks on its output"
)]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use microagent_core::Result;
use microagent_local::{Host, LocalOptions};
use tempfile::TempDir;

/// Tells a copy of this test program that it is a host, and of what.
const HOSTED: &str = "MICROAGENT_TEST_HOSTED";

const READY: &str = "the hub is hosted";

/// A folder, and the process that hosts it.
pub(crate) struct Hosted {
    folder: TempDir,
    host: Mutex<Child>,
}

impl Hosted {
    /// A folder of its own, hosted when this returns.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let host = spawn(folder.path())?;
        Ok(Self {
            folder,
            host: Mutex::new(host),
        })
    }

    pub(crate) fn options(&self) -> Result<LocalOptions> {
        LocalOptions::parse(&format!("local:{}", self.folder.path().display()))
    }

    /// `kill -9` of the host: whoever is connected takes over.
    pub(crate) fn kill_host(&self) {
        let mut host = self.host.lock().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.kill_host();
    }
}

/// This program again, as a host that ends with the test.
fn spawn(folder: &Path) -> Result<Child> {
    let mut host = Command::new(std::env::current_exe()?)
        .args(["--exact", "host", "--nocapture"])
        .env(HOSTED, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(host.stdout.take().ok_or("its output is piped")?);
    for line in said.lines() {
        if line?.contains(READY) {
            return Ok(host);
        }
    }
    host.wait()?;
    Err("the hosting process ended before it hosted".into())
}

/// What the test `host` of a program does: nothing, unless it was started by [`spawn`].
pub(crate) fn host_if_told() {
    let Some(folder) = std::env::var_os(HOSTED) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = LocalOptions::parse(&format!("local:{}", Path::new(&folder).display())).unwrap();
    let host = runtime.block_on(Host::start(&options)).unwrap();
    println!("\n{READY}");
    // Ends with whoever started it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.block_on(host.shutdown()).unwrap();
}
