//! Hosting a folder's hub on purpose, as a launcher does for its group.

use std::sync::Arc;

use microagent_core::Result;

use super::{Folder, HostElection};
use crate::LocalOptions;

/// The hub of a folder, hosted by this process whether or not it uses it.
///
/// Where another process hosts already, that goes on; this one is ready to take over with its own connections only.
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
    /// Hosts the folder, unless another process does. The hub can be reached when this returns, and runs on a thread of its own.
    ///
    /// # Errors
    /// What is wrong with the folder ([`Configuration`](microagent_core::ErrorKind::Configuration)) or with the files in it
    /// ([`Driver`](microagent_core::ErrorKind::Driver)).
    pub async fn start(options: &LocalOptions) -> Result<Self> {
        let election = HostElection::of(Folder::prepare(options.folder())?);
        election.host_if_free().await?;
        Ok(Self { election })
    }

    /// Hosts no more, unless this process still uses the folder. Others may finish what they have of its queues; it waits for
    /// that, but at most 10 s.
    ///
    /// # Errors
    /// When what was under way could not be written; it was confirmed to nobody.
    pub async fn shutdown(self) -> Result<()> {
        self.election.retire().await
    }
}
