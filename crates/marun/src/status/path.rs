//! The path of the socket on which a launcher answers `marun status`.
//!
//! It is `NAME-HASH.sock` in `$XDG_RUNTIME_DIR/marun`, or in `/tmp/marun-UID` if that variable is not set. `NAME`
//! is that of the settings file, and `HASH` is made of the paths of all settings files.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use microagent_core::driver::stable_hash;
use rustix::process::getuid;

/// The longest part of a file's name in the path, because the path of a socket has at most 107 bytes.
const LONGEST_NAME: usize = 24;

/// Returns the path of the socket for the group of these settings files.
///
/// # Errors
/// An error if a file does not exist.
pub(crate) fn socket_path(settings: &[PathBuf]) -> io::Result<PathBuf> {
    let mut files = Vec::new();
    for file in settings {
        files.push(fs::canonicalize(file)?);
    }
    // The order of the files does not matter for the group.
    files.sort();
    let stem = files.first().and_then(|file| file.file_stem());
    let stem = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let stem = &stem[..stem.floor_char_boundary(LONGEST_NAME)];
    Ok(folder().join(format!("{stem}-{:016x}.sock", hash(&files))))
}

fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => Path::new(&folder).join("marun"),
        None => PathBuf::from(format!("/tmp/marun-{}", getuid().as_raw())),
    }
}

/// Creates the folder of a socket, which only its owner may open.
///
/// # Errors
/// An error if it cannot be created, or belongs to or is open to somebody else.
pub(crate) fn prepare(socket: &Path) -> io::Result<()> {
    let Some(folder) = socket.parent() else {
        return Ok(());
    };
    let created = fs::DirBuilder::new().mode(0o700).create(folder);
    match created {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let is_private =
        found.is_dir() && found.uid() == getuid().as_raw() && found.mode() & 0o077 == 0;
    if is_private {
        return Ok(());
    }
    let text = format!(
        "{} is not a folder that only its owner can open",
        folder.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

fn hash(files: &[PathBuf]) -> u64 {
    let files = files.iter();
    stable_hash(files.flat_map(|file| file.as_os_str().as_bytes().iter().chain(&[0])))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_group_has_one_path_however_its_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("a.toml"), "").unwrap();
        fs::write(file("b.toml"), "").unwrap();
        let of = |names: &[&str]| {
            let files: Vec<_> = names.iter().map(|name| file(name)).collect();
            socket_path(&files).unwrap()
        };
        assert_eq!(of(&["a.toml", "b.toml"]), of(&["b.toml", "./a.toml"]));
        assert_ne!(of(&["a.toml"]), of(&["b.toml"]));
        assert!(socket_path(&[file("none.toml")]).is_err());
    }

    #[test]
    fn a_folder_that_others_can_open_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("new/a.sock");
        prepare(&socket).unwrap();
        prepare(&socket).unwrap();
        let parent = socket.parent().unwrap();
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
        let error = prepare(&socket).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
