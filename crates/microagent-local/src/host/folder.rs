//! The folder in which processes meet: its files, and what must be true of it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use microagent_core::{Error, ErrorKind, Result};
use rustix::process::geteuid;

/// The longest path of a database: SQLite takes 512 bytes with the suffix of its journal.
const LONGEST_DATABASE: usize = 504;

const DATABASE: &str = "queues.sqlite";

/// A folder that exists, by its canonical path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Folder(PathBuf);

/// The right to host; it ends with the value, and with the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Folder {
    /// Returns the folder. One that does not exist is created, with access for its owner only.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) if it is not a folder and cannot become one, belongs to another user, or has
    /// a path that is too long for the database in it.
    pub(crate) fn prepare(path: &Path) -> Result<Self> {
        create(path).map_err(|error| refused(path, "cannot be created", error))?;
        if !path.is_dir() {
            let text = format!("{}: is not a folder", path.display());
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        let path =
            fs::canonicalize(path).map_err(|error| refused(path, "cannot be read", error))?;
        check_owner(&path)?;
        let folder = Self(path);
        folder.check_length()?;
        Ok(folder)
    }

    fn check_length(&self) -> Result<()> {
        let length = self.0.as_os_str().len();
        let longest = LONGEST_DATABASE - DATABASE.len() - 1;
        if length <= longest {
            return Ok(());
        }
        let text = format!(
            "{}: invalid path of {length} bytes: expected at most {longest}, which is what SQLite can open; choose a shorter path",
            self.0.display()
        );
        Err(Error::new(ErrorKind::Configuration, text))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the lock. Returns `None` if another process has it.
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
        check_owner(&path)?;
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
        self.0.join(DATABASE)
    }
}

/// Creates the folder with access for its owner only. Its missing parents get the usual permissions.
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
        // Another process has created it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

/// Checks that a file or folder belongs to the user of this process: another user could read, replace or remove what is in it.
///
/// # Errors
/// [`Configuration`](ErrorKind::Configuration) with both users.
pub(super) fn check_owner(path: &Path) -> Result<()> {
    let found =
        fs::symlink_metadata(path).map_err(|error| refused(path, "cannot be read", error))?;
    let (owner, user) = (found.uid(), geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    let text = format!(
        "{}: belongs to user {owner}, and this process runs as user {user}; use a folder of your own, or run this program as \
         user {owner}",
        path.display()
    );
    Err(Error::new(ErrorKind::Configuration, text))
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
    fn an_invalid_folder_is_refused_with_its_path() {
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

    /// Changes the owner of a file. Only root may do that; without root this returns a path of the system that
    /// another user owns.
    fn given_away(path: &Path) -> PathBuf {
        match std::os::unix::fs::chown(path, Some(4711), None) {
            Ok(()) => path.to_owned(),
            Err(_) => PathBuf::from("/"),
        }
    }

    #[test]
    fn a_folder_of_another_user_is_refused_with_both_users() {
        let temp = tempfile::tempdir().unwrap();
        let theirs = given_away(temp.path());
        let error = Folder::prepare(&theirs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = error.to_string();
        let (owner, user) = (fs::metadata(&theirs).unwrap().uid(), geteuid().as_raw());
        assert!(text.contains(&format!("belongs to user {owner}")), "{text}");
        assert!(text.contains(&format!("runs as user {user}")), "{text}");
    }

    #[test]
    fn a_path_that_is_too_long_for_sqlite_is_refused_with_its_length() {
        let temp = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(temp.path()).unwrap();
        let of_length = |length: usize| {
            let mut path = base.clone();
            while length - path.as_os_str().len() > 200 {
                path.push("d".repeat(100));
            }
            path.push("e".repeat(length - path.as_os_str().len() - 1));
            assert_eq!(path.as_os_str().len(), length);
            path
        };
        let fits = Folder::prepare(&of_length(490)).unwrap();
        let mut store = crate::store::SqliteStore::open(&fits.database()).unwrap();
        let queue = "mailer".into();
        crate::store::Store::commit(&mut store, &[crate::store::Change::Declare { queue }])
            .unwrap();

        for length in [491, 520, 1000] {
            let error = Folder::prepare(&of_length(length)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let text = error.to_string();
            let reason = format!("invalid path of {length} bytes: expected at most 490");
            assert!(text.contains(&reason), "{text}");
        }
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
