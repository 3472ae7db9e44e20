//! The Python package of MicroAgent, for tests with a peer in Python: an interpreter that has it.
//!
//! The script that the peer runs belongs to the test.

use std::{path::PathBuf, process::Command, sync::Mutex};

use microagent_core::{Error, ErrorKind, Result, driver::lock};

use super::{cache, process::check_wanted};

/// The script of the repository that installs what tests need.
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

/// The path of the interpreter that the script installs, in the user's cache.
const INTERPRETER: &str = "microagent/python-1.9.0/bin/python";

/// Returns the interpreter that has the Python package of MicroAgent, version 1.9.0 with Redis. If it is missing,
/// `scripts/services` installs it, once for all tests of the machine; the call blocks until then.
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
/// [`ErrorKind::Unsupported`] if `SKIP_SERVICES` names `python`; [`ErrorKind::Configuration`] if it cannot be installed.
pub fn python_interpreter() -> Result<PathBuf> {
    static INSTALLED: Mutex<Option<PathBuf>> = Mutex::new(None);
    check_wanted("python")?;
    let mut installed = lock(&INSTALLED);
    if let Some(interpreter) = &*installed {
        return Ok(interpreter.clone());
    }
    install()?;
    let interpreter = cache::folder()?.join(INTERPRETER);
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

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Configuration, text)
}
