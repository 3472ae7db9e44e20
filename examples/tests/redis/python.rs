//! The place of the Python package.

use std::{
    env,
    path::{Path, PathBuf},
};

use microagent_testing::python_interpreter;

/// Returns the folder of an interpreter that has the package; the package is installed if it is missing.
pub(crate) fn python() -> PathBuf {
    let interpreter =
        python_interpreter().unwrap_or_else(|error| panic!("no interpreter: {error}"));
    interpreter.parent().unwrap().to_owned()
}

/// The variable `PATH` with this folder first, as an activated virtual environment has it.
pub(crate) fn activated(folder: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [folder.to_owned()];
    env::join_paths(folders.into_iter().chain(env::split_paths(&path))).unwrap()
}
