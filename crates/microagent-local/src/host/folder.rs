//! The folder in which processes meet: its files, and what must be true of it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use microagent_core::{Error, ErrorKind, Result};

/// A folder that exists, by its one true name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Folder(PathBuf);

/// The right to host; it ends with the value, and with the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Folder {
    /// The folder, created for its owner only where it does not exist.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) for what is no folder and cannot become one.
    pub(crate) fn prepare(path: &Path) -> Result<Self> {
        create(path).map_err(|error| refused(path, "cannot be created", error))?;
        if !path.is_dir() {
            let text = format!("{}: is not a folder", path.display());
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        let path =
            fs::canonicalize(path).map_err(|error| refused(path, "cannot be read", error))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The lock, unless another process has it.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) for a folder in which nothing can be created,
    /// [`Driver`](ErrorKind::Driver) for a file system without locks.
    pub(super) fn lock(&self) -> Result<Option<Lock>> {
        let path = self.lock_file();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|error| refused(&path, "cannot be opened for writing", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                let text = format!("{}: cannot be locked: {error}", path.display());
                Err(Error::new(ErrorKind::Driver, text).with_source(error))
            }
        }
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join("queues.sqlite")
    }
}

/// Its parents are created as anyone would; the last one is private.
fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

fn refused(path: &Path, what: &str, error: io::Error) -> Error {
    let text = format!("{}: {what}: {error}", path.display());
    Error::new(ErrorKind::Configuration, text).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_created_for_its_owner_and_has_one_name() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(&temp.path().join("a/b")).unwrap();
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let again = Folder::prepare(&temp.path().join("a/../a/b")).unwrap();
        assert_eq!(folder, again);
    }

    #[test]
    fn what_cannot_be_a_folder_is_refused_with_its_path() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        let refusal = |path: &Path| {
            let error = Folder::prepare(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            error.to_string()
        };
        assert!(refusal(&file).ends_with("file: is not a folder"));
        assert!(refusal(&file.join("below")).contains("file/below: cannot be created"));
    }

    #[test]
    fn one_at_a_time_has_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(temp.path()).unwrap();
        let lock = folder.lock().unwrap();
        assert!(lock.is_some());
        assert!(folder.lock().unwrap().is_none());
        drop(lock);
        assert!(folder.lock().unwrap().is_some());
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_told() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("lock")).unwrap();
        let error = Folder::prepare(temp.path()).unwrap().lock().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("lock: cannot be opened"));
    }
}
