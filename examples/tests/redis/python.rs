//! Where the Python package is.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::scene::say_skipped;

/// The folder of an interpreter that has the package, installed where it is missing; `None`, said aloud, when `SKIP_SERVICES`
/// names `python`.
pub(crate) fn python(test: &str) -> Option<&'static Path> {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let skipped = env::var("SKIP_SERVICES").unwrap_or_default();
    if skipped.split_whitespace().any(|name| name == "python") {
        say_skipped(test, "`SKIP_SERVICES` says to go without python");
        return None;
    }
    Some(INSTALLED.get_or_init(install))
}

fn install() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    let installed = Command::new(script)
        .args(["install", "python"])
        .output()
        .expect("scripts/services");
    let told = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "{told}");
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    cache
        .unwrap_or_else(home)
        .join("microagent/python-1.9.0/bin")
}

/// The variable `PATH` with this folder first, as an activated virtual environment has it.
pub(crate) fn activated(folder: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [folder.to_owned()];
    env::join_paths(folders.into_iter().chain(env::split_paths(&path))).unwrap()
}
