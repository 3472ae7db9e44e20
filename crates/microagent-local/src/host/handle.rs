//! The public handle of a process that hosts a folder's hub, as a launcher does for its group.

use std::sync::Arc;

use microagent_core::Result;

use super::{Folder, HostElection};
use crate::LocalOptions;

/// The hub of a folder, hosted by this process whether or not it uses it.
///
/// If another process hosts already, that process continues. This one takes over only while it has connections
/// of its own.
///
/// ```
/// use microagent_local::{Host, LocalBus, LocalOptions};
/// use microagent_core::SignalBus;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let folder = tempfile::tempdir()?;
/// let options = LocalOptions::parse(&format!("local:{}", folder.path().display()))?;
///
/// let host = Host::start(&options).await?;
/// let bus = LocalBus::connect(&options).await?;
/// bus.publish("PUBSUB:started:shell", "{}".into()).await?;
/// bus.close().await?;
/// host.shutdown().await?;
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Host {
    election: Arc<HostElection>,
}

impl Host {
    /// Hosts the folder, unless another process does. Clients can reach the hub when this returns. The hub runs
    /// on a thread of its own.
    ///
    /// # Errors
    /// [`Configuration`](microagent_core::ErrorKind::Configuration) for a folder that cannot be used,
    /// [`Driver`](microagent_core::ErrorKind::Driver) for files in it that cannot be used.
    pub async fn start(options: &LocalOptions) -> Result<Self> {
        let election = HostElection::of(Folder::prepare(options.folder())?);
        election.host_if_free().await?;
        Ok(Self { election })
    }

    /// Stops hosting, unless this process still uses the folder. Waits up to 10 s until other processes have
    /// settled the messages that they have in flight.
    ///
    /// # Errors
    /// Returns an error if changes could not be written. None of them was confirmed to a client.
    pub async fn shutdown(self) -> Result<()> {
        self.election.retire().await
    }
}
