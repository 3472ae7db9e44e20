//! The launcher's support for `local:`: it checks the folders (`folder.rs`) and hosts their hubs
//! (`hub.rs`).

mod folder;
mod hub;

use microagent_local::LocalOptions;

pub(crate) use self::{
    folder::{new_folder, problem},
    hub::Hubs,
};

/// The folder of a DSN without a path.
pub(crate) const DEFAULT_FOLDER: &str = LocalOptions::DEFAULT_FOLDER;
