//! The hubs of the `local:` folders of a group. The launcher hosts them, so that no agent has to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use microagent_core::{Error, Result};
use microagent_local::{Host, LocalOptions};
use tokio::runtime::Runtime;

use crate::{exit::Failure, settings::Place};

/// The hosted hubs. Each has a thread of its own; the runtime is only for starting and stopping
/// them.
pub(crate) struct Hubs {
    runtime: Runtime,
    hosts: Vec<(PathBuf, Host)>,
}

impl Hubs {
    /// Starts the hub of each of these DSNs.
    pub(crate) fn start(dsns: &BTreeMap<String, Place>) -> std::result::Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Failure::failed(format!("cannot start a runtime for `local:`: {error}"))
            })?;
        let mut hubs = Self {
            runtime,
            hosts: Vec::new(),
        };
        for (dsn, place) in dsns {
            hubs.host(dsn).map_err(|error| refused(&error, place))?;
        }
        Ok(hubs)
    }

    fn host(&mut self, dsn: &str) -> Result<()> {
        let options = LocalOptions::parse(dsn)?;
        if self
            .hosts
            .iter()
            .any(|(known, _)| is_same(known, options.folder()))
        {
            return Ok(());
        }
        let host = self.runtime.block_on(Host::start(&options))?;
        self.hosts.push((options.folder().to_owned(), host));
        Ok(())
    }

    /// Stops the hubs. Errors are logged.
    pub(crate) fn shutdown(self) {
        for (folder, host) in self.hosts {
            if let Err(error) = self.runtime.block_on(host.shutdown()) {
                tracing::error!(folder = %folder.display(), %error, "cannot stop the hub");
            }
        }
    }
}

/// Returns the error at the place of the DSN in the settings, with the exit code of the error.
fn refused(error: &Error, place: &Place) -> Failure {
    Failure {
        code: Failure::of(error).code,
        message: place.error(error.to_string()).to_string(),
    }
}

/// Returns whether two paths are the same folder. Symbolic links are resolved if both folders
/// exist.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
