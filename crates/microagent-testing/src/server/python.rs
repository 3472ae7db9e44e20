//! The Python package of MicroAgent, a peer of tests: an interpreter that has it.
//!
//! What the peer does is a script of the test's own.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use microagent_core::{Error, ErrorKind, Result};

use super::process::check_wanted;

/// Installs what tests need; a script of the repository.
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

/// Where the script puts the interpreter, in the user's cache.
const INTERPRETER: &str = "microagent/python-1.9.0/bin/python";

/// The interpreter that has the Python package of MicroAgent, version 1.9.0 with Redis; `scripts/services` installs it where it
/// is missing, once for all tests of the machine. The call blocks meanwhile.
///
/// ```no_run
/// use std::process::Command;
///
/// let python = microagent_testing::python_interpreter()?;
/// Command::new(python).args(["-c", "import microagent"]).status()?;
/// # Ok::<(), microagent_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Unsupported`] when `SKIP_SERVICES` names `python`; [`ErrorKind::Configuration`] when it cannot be installed.
pub fn python_interpreter() -> Result<PathBuf> {
    static INSTALLED: Mutex<Option<PathBuf>> = Mutex::new(None);
    check_wanted("python")?;
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(interpreter) = &*installed {
        return Ok(interpreter.clone());
    }
    install()?;
    let interpreter = cache()?.join(INTERPRETER);
    Ok(installed.insert(interpreter).clone())
}

fn install() -> Result<()> {
    let installing = Command::new(SERVICES).args(["install", "python"]).output();
    let installing =
        installing.map_err(|error| refused(format!("{SERVICES} does not run: {error}")))?;
    if installing.status.success() {
        return Ok(());
    }
    Err(refused(
        String::from_utf8_lossy(&installing.stderr).into_owned(),
    ))
}

/// As the script finds it.
fn cache() -> Result<PathBuf> {
    let home = || Some(Path::new(&env::var_os("HOME")?).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let none = || refused("neither `XDG_CACHE_HOME` nor `HOME` is set".to_owned());
    cache.or_else(home).ok_or_else(none)
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Configuration, text)
}
