//! The hubs of the `local:` folders that a group uses: the launcher hosts them, so that the agents find one and none of
//! them has to be it. What a hub does is none of the launcher's business; it lives in `microagent-local`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use microagent_core::{Error, Result};
use microagent_local::{Host, LocalOptions};
use tokio::runtime::Runtime;

use crate::{exit::Failure, settings::Place};

/// The hubs. Each has a thread of its own; the runtime is only what starting and ending them needs.
pub(crate) struct Hubs {
    runtime: Runtime,
    hosts: Vec<(PathBuf, Host)>,
}

impl Hubs {
    /// Hosts the hub of each of these folders.
    pub(crate) fn start(dsns: &BTreeMap<String, Place>) -> std::result::Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("no runtime for `local:`: {error}")))?;
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

    /// Ends them; what could not be written is said in the log.
    pub(crate) fn shutdown(self) {
        for (folder, host) in self.hosts {
            if let Err(error) = self.runtime.block_on(host.shutdown()) {
                tracing::error!("the hub of local:{}: {error}", folder.display());
            }
        }
    }
}

/// Where the settings name the folder; the code is that of the error.
fn refused(error: &Error, place: &Place) -> Failure {
    Failure {
        code: Failure::of(error).code,
        message: place.error(error.to_string()).to_string(),
    }
}

/// Whether two DSNs name one folder in two ways; one that does not exist yet is no other.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
