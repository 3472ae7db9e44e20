//! The place of the Python package.

use std::{
    env,
    path::{Path, PathBuf},
};

use microagent::ErrorKind;
use microagent_testing::python_interpreter;

use crate::scene::say_skipped;

/// The folder of an interpreter that has the package, installed where it is missing; `None`, said aloud, when `SKIP_SERVICES`
/// names `python`.
pub(crate) fn python(test: &str) -> Option<PathBuf> {
    let interpreter = match python_interpreter() {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            say_skipped(test, &error.to_string());
            return None;
        }
        interpreter => interpreter.expect("an interpreter"),
    };
    interpreter.parent().map(Path::to_owned)
}

/// The variable `PATH` with this folder first, as an activated virtual environment has it.
pub(crate) fn activated(folder: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [folder.to_owned()];
    env::join_paths(folders.into_iter().chain(env::split_paths(&path))).unwrap()
}
