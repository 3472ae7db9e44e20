//! What the launcher itself does for `local:`: it judges the folders (`folder.rs`) and hosts their hubs (`hub.rs`). It
//! moves no message.

mod folder;
mod hub;

use microagent_local::LocalOptions;

pub(crate) use self::{
    folder::{new_folder, problem},
    hub::Hubs,
};

/// The folder of a DSN that names none.
pub(crate) const DEFAULT_FOLDER: &str = LocalOptions::DEFAULT_FOLDER;
