//! Whether the folder of a `local:` DSN is one, or can become one. It creates nothing.

use std::{
    io,
    path::{Path, PathBuf},
};

use microagent_local::LocalOptions;
use rustix::fs::{Access, access};

/// The folder of this DSN that is not there yet; none for a DSN of another driver.
pub(crate) fn new_folder(dsn: &str) -> Option<PathBuf> {
    let options = LocalOptions::parse(dsn).ok()?;
    let folder = options.folder();
    (!folder.exists()).then(|| folder.to_owned())
}

/// Why the hub of this DSN could not be hosted; none for a DSN of another driver.
pub(crate) fn problem(dsn: &str) -> Option<String> {
    let options = LocalOptions::parse(dsn).ok()?;
    let folder = options.folder();
    let allowed = "allowed is a folder in which this user may write, or a name that is free in one";
    // The nearest one that is there: what is missing below it is created.
    for path in folder.ancestors() {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let shown = path.display();
        match path.metadata() {
            Ok(meta) if !meta.is_dir() => {
                return Some(format!("{shown} is not a folder; {allowed}"));
            }
            Ok(_) => {
                let writable = access(path, Access::WRITE_OK | Access::EXEC_OK);
                let error = io::Error::from(writable.err()?);
                return Some(format!("{shown} cannot be written to: {error}; {allowed}"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            // Above is what this says better.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Some(format!("{shown} cannot be looked at: {error}; {allowed}")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn what_is_no_folder_and_cannot_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("file"), "").unwrap();
        symlink("/nowhere/at/all", path("dangling")).unwrap();
        let problem = |name: &str| problem(&format!("local:{}", path(name)));
        for name in ["", "new", "new/below"] {
            assert_eq!(problem(name), None, "{name}");
        }
        let shown = format!("{} is not a folder; ", path("file"));
        for name in ["file", "file/below", "file/below/it"] {
            let problem = problem(name).unwrap();
            assert!(problem.starts_with(&shown), "{problem}");
        }
        let dangling = problem("dangling").unwrap();
        assert!(dangling.contains("cannot be looked at"), "{dangling}");
    }

    #[test]
    fn other_drivers_have_no_folder() {
        assert_eq!(problem("redis://localhost/0"), None);
        assert_eq!(
            problem("local:?durable=false"),
            None,
            "the driver refuses it"
        );
    }
}
