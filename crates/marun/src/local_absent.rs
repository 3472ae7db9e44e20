//! Replaces `local/` in a launcher that is built without the driver of `local:`.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{exit::Failure, settings::Place};

/// The default folder, which is unknown without the driver. DSNs of `local:` are rejected.
pub(crate) const DEFAULT_FOLDER: &str = "";

/// Returns why the launcher cannot host the hub of this DSN, or `None` for a DSN of another driver.
pub(crate) fn problem(dsn: &str) -> Option<String> {
    let text = "`local:` is not supported by this launcher: enable the feature `local` of the crate `marun`";
    dsn.starts_with("local:").then(|| text.to_owned())
}

/// Returns `None`: the folder of a DSN is unknown without the driver.
pub(crate) fn new_folder(_: &str) -> Option<PathBuf> {
    None
}

/// The hosted hubs: none.
pub(crate) struct Hubs;

impl Hubs {
    /// Hosts nothing, because DSNs of `local:` were rejected before.
    pub(crate) fn start(_: &BTreeMap<String, Place>) -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(crate) fn shutdown(self) {}
}
