//! The folder in which `scripts/services` keeps programs that are not packages of the system.

use std::{
    env,
    path::{Path, PathBuf},
};

use microagent_core::{Error, ErrorKind, Result};

/// Returns the cache of the user, as the script finds it.
pub(super) fn folder() -> Result<PathBuf> {
    let home = || Some(Path::new(&env::var_os("HOME")?).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let text = "neither `XDG_CACHE_HOME` nor `HOME` is set";
    let none = || Error::new(ErrorKind::Configuration, text);
    cache.or_else(home).ok_or_else(none)
}
