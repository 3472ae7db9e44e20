//! Checks whether the folder of a `local:` DSN exists or can be created.

use std::{
    io,
    path::{Path, PathBuf},
};

use microagent_local::LocalOptions;
use rustix::fs::{Access, access};

/// Returns the folder of this DSN if it does not exist yet; `None` also for a DSN of another
/// driver.
pub(crate) fn new_folder(dsn: &str) -> Option<PathBuf> {
    let options = LocalOptions::parse(dsn).ok()?;
    let folder = options.folder();
    (!folder.exists()).then(|| folder.to_owned())
}

/// Returns why the launcher cannot host the hub of this DSN; `None` if it can, and for a DSN of
/// another driver.
pub(crate) fn problem(dsn: &str) -> Option<String> {
    let options = LocalOptions::parse(dsn).ok()?;
    let folder = options.folder();
    let expected = "expected a writable folder, or a path at which one can be created";
    // The nearest ancestor that exists decides: missing folders below it are created.
    for path in folder.ancestors() {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let shown = path.display();
        match path.metadata() {
            Ok(meta) if !meta.is_dir() => {
                return Some(format!("{shown} is not a folder: {expected}"));
            }
            Ok(_) => {
                let writable = access(path, Access::WRITE_OK | Access::EXEC_OK);
                let error = io::Error::from(writable.err()?);
                return Some(format!("cannot write to {shown}: {error}; {expected}"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            // An ancestor is a file; the error for that is clearer.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Some(format!("cannot access {shown}: {error}; {expected}")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_path_at_which_no_folder_can_be_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("file"), "").unwrap();
        symlink("/nowhere/at/all", path("dangling")).unwrap();
        let problem = |name: &str| problem(&format!("local:{}", path(name)));
        for name in ["", "new", "new/below"] {
            assert_eq!(problem(name), None, "{name}");
        }
        let shown = format!("{} is not a folder: ", path("file"));
        for name in ["file", "file/below", "file/below/it"] {
            let problem = problem(name).unwrap();
            assert!(problem.starts_with(&shown), "{problem}");
        }
        let dangling = problem("dangling").unwrap();
        assert!(dangling.contains("cannot access "), "{dangling}");
    }

    #[test]
    fn other_drivers_have_no_folder() {
        assert_eq!(problem("redis://localhost/0"), None);
        assert_eq!(
            problem("local:?durable=false"),
            None,
            "the driver rejects it"
        );
    }
}
