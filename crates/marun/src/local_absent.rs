//! The same as `local/`, in a launcher that is built without the driver: it hosts nothing, and says so.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{exit::Failure, settings::Place};

/// The folder of a DSN that names none; without the driver nobody knows, and the DSN is refused.
pub(crate) const DEFAULT_FOLDER: &str = "";

/// Why the hub of this DSN could not be hosted; none for a DSN of another driver.
pub(crate) fn problem(dsn: &str) -> Option<String> {
    let text = "this launcher cannot host the hub of `local:`: switch on the feature `local` of the crate `marun`";
    dsn.starts_with("local:").then(|| text.to_owned())
}

/// Nobody can say.
pub(crate) fn new_folder(_: &str) -> Option<PathBuf> {
    None
}

/// The hubs, of which there are none.
pub(crate) struct Hubs;

impl Hubs {
    /// Nothing is left to host where every DSN of this kind was refused.
    pub(crate) fn start(_: &BTreeMap<String, Place>) -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(crate) fn shutdown(self) {}
}
