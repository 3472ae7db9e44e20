//! The socket of a folder. It lies in the folder, or elsewhere if the path would be too long for a socket.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use microagent_core::driver::stable_hash;

use super::{Folder, watch::Identity};

/// The longest path of a socket, without the zero at its end.
const LONGEST: usize = 107;

/// The name under which a socket is made before it is ready; no shorter than the one that it gets.
const UNREADY: &str = "hub.temp";
const READY: &str = "hub.sock";

/// The file with the path of the socket, if the socket is not in the folder.
const ELSEWHERE: &str = "socket";

/// The file of a socket that listens; it goes with this.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    file: Identity,
}

impl Folder {
    /// Returns where the hub's socket is, if there is a hub.
    pub(crate) fn socket(&self) -> PathBuf {
        self.pointer().unwrap_or_else(|| self.path().join(READY))
    }

    /// Returns what the pointer file says, if there is one. A file of another user says nothing.
    fn pointer(&self) -> Option<PathBuf> {
        let path = self.path().join(ELSEWHERE);
        let found = fs::symlink_metadata(&path).ok()?;
        let user = rustix::process::geteuid().as_raw();
        if !found.is_file() || found.uid() != user || found.len() > LONGEST as u64 {
            return None;
        }
        let path = fs::read(&path).ok()?;
        Some(Path::new(std::ffi::OsStr::from_bytes(&path)).to_owned())
    }
}

impl Socket {
    /// Listens for the owner of the folder, in place of a socket that a dead host left. Only the holder of the lock may.
    pub(super) fn bind(folder: &Folder) -> io::Result<(Self, UnixListener)> {
        let elsewhere = folder.path().join(ELSEWHERE);
        let place = place(folder)?;
        let unready = place.join(UNREADY);
        remove(&unready)?;
        let listener = UnixListener::bind(&unready)?;
        fs::set_permissions(&unready, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        // A process that finds the socket under its name can connect. Before, no process could.
        let path = place.join(READY);
        fs::rename(&unready, &path)?;
        if place == folder.path() {
            remove(&elsewhere)?;
        } else {
            let unready = folder.path().join("socket.temp");
            write_private(&unready, path.as_os_str().as_bytes())?;
            fs::rename(&unready, &elsewhere)?;
        }
        let file = Identity::of(&path)?;
        Ok((Self { path, file }, listener))
    }

    /// Returns whether clients that look for the hub of the folder find this socket.
    pub(super) fn is_found_in(&self, folder: &Folder) -> bool {
        folder.socket() == self.path && self.file.is_at(&self.path)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another's is not ours to remove; ours, if it stays behind, is removed by the next host.
        if self.file.is_at(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The folder, or one with a short name that stands for it.
fn place(folder: &Folder) -> io::Result<PathBuf> {
    if fits(folder.path()) {
        return Ok(folder.path().to_owned());
    }
    let user = rustix::process::geteuid().as_raw();
    let name = format!(
        "microagent-{user}-{:016x}",
        stable_hash(folder.path().as_os_str().as_bytes())
    );
    let places = [env::temp_dir(), PathBuf::from("/tmp")];
    let place = places
        .iter()
        .map(|temp| temp.join(&name))
        .find(|place| fits(place));
    let place = place.ok_or_else(|| {
        let text = "no folder for temporary files has a path that is short enough for a socket";
        io::Error::other(text)
    })?;
    match fs::DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check_owner(&place, user)?,
        created => created?,
    }
    Ok(place)
}

fn fits(place: &Path) -> bool {
    place.as_os_str().len() + 1 + UNREADY.len() <= LONGEST
}

/// In a folder that everyone may write to, somebody else may have made it first.
fn check_owner(place: &Path, user: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(place)?;
    if found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    let text = format!(
        "{}: must be a folder that belongs to user {user} and is open to nobody else",
        place.display()
    );
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

/// Writes a new file with access for its owner only, whatever the process's umask is.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove(path)?;
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn folder_of(path: &Path) -> Folder {
        Folder::prepare(path).unwrap()
    }

    #[test]
    fn a_socket_is_private_and_replaces_that_of_a_dead_host() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_of(temp.path());
        let (dead, listener) = Socket::bind(&folder).unwrap();
        std::mem::forget(dead);
        drop(listener);
        assert!(UnixStream::connect(folder.socket()).is_err());

        let (socket, _listener) = Socket::bind(&folder).unwrap();
        assert!(UnixStream::connect(folder.socket()).is_ok());
        let mode = fs::metadata(folder.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(socket);
        assert!(!folder.socket().exists());
    }

    #[test]
    fn a_long_folder_has_its_socket_elsewhere() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_of(&temp.path().join("long".repeat(30)));
        let (socket, _listener) = Socket::bind(&folder).unwrap();
        assert!(!folder.socket().starts_with(temp.path()));
        let pointer = folder.path().join(ELSEWHERE);
        assert_eq!(fs::metadata(&pointer).unwrap().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(folder.socket()).is_ok());

        let other = folder_of(&temp.path().join("lang".repeat(30)));
        let (another, _other_listener) = Socket::bind(&other).unwrap();
        assert_ne!(folder.socket(), other.socket());
        let places = [folder.socket(), other.socket()];
        drop((socket, another));
        for place in places {
            fs::remove_dir(place.parent().unwrap()).unwrap();
        }
    }

    #[test]
    fn a_socket_that_was_removed_is_missed_and_that_of_another_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_of(temp.path());
        let (socket, _listener) = Socket::bind(&folder).unwrap();
        assert!(socket.is_found_in(&folder));
        fs::remove_file(folder.socket()).unwrap();
        assert!(!socket.is_found_in(&folder));

        let (next, _next_listener) = Socket::bind(&folder).unwrap();
        assert!(next.is_found_in(&folder) && !socket.is_found_in(&folder));
        drop(socket);
        assert!(UnixStream::connect(folder.socket()).is_ok());
        fs::write(folder.path().join(ELSEWHERE), "/elsewhere").unwrap();
        assert!(!next.is_found_in(&folder));
    }

    #[test]
    fn a_place_that_is_open_to_others_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(check_owner(temp.path(), user).is_ok());
        assert!(check_owner(temp.path(), user + 1).is_err());
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(check_owner(temp.path(), user).is_err());
    }
}
