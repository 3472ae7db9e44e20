//! Checks that the files which make a process the host are still those in the folder.
//!
//! If they are removed or replaced while the hub runs, the folder could have two hosts, or the hub could
//! confirm messages that nobody finds again.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file that has this name now, a link for itself.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }

    pub(super) fn is_at(self, path: &Path) -> bool {
        Self::of(path).is_ok_and(|found| found == self)
    }
}

/// Files that must stay what they are.
#[derive(Debug)]
pub(super) struct Watch(Vec<(PathBuf, Identity)>);

impl Watch {
    /// Remembers the files of these names.
    pub(super) fn over(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let identified = |path: PathBuf| Ok((path.clone(), Identity::of(&path)?));
        let files: io::Result<_> = paths.into_iter().map(identified).collect();
        files.map(Self)
    }

    /// The first that is gone, or another file.
    pub(super) fn missing(&self) -> Option<&Path> {
        let mut files = self.0.iter();
        let missing = files.find(|(path, identity)| !identity.is_at(path));
        missing.map(|(path, _)| path.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_and_replaced_files_are_missing() {
        let temp = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        let watch = Watch::over([one.clone(), other.clone()]).unwrap();
        assert_eq!(watch.missing(), None);
        fs::write(&one, "its content is its own").unwrap();
        assert_eq!(watch.missing(), None);

        let replacement = temp.path().join("replacement");
        fs::write(&replacement, "").unwrap();
        fs::rename(&replacement, &other).unwrap();
        assert_eq!(watch.missing(), Some(other.as_path()));
        fs::remove_file(&one).unwrap();
        assert_eq!(watch.missing(), Some(one.as_path()));
    }
}
