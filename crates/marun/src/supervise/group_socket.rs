//! The socket of a group, on which the launcher answers `marun status`.
//!
//! A client sends the line `"status"` and receives the status of the group as a line of JSON.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};

use super::board::Board;
use crate::member::control::{self, Question};

/// The time in which the members must answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time in which a client must send its question and receive the answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// The number of clients that are answered at the same time; others wait.
const CLIENTS: usize = 8;

/// The longest question in bytes.
const LONGEST_QUESTION: u64 = 1024;

/// The socket of a running group. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct GroupSocket {
    path: PathBuf,
}

impl GroupSocket {
    /// Starts to answer on this path, on the current runtime.
    ///
    /// # Errors
    /// An error if the socket cannot be created, or if another launcher answers on it.
    pub(crate) fn serve(path: &Path, board: Board) -> io::Result<Self> {
        remove_if_unused(path)?;
        let listener = UnixListener::bind(path)?;
        let socket = Self {
            path: path.to_owned(),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        tokio::spawn(accept(listener, board));
        Ok(socket)
    }
}

impl Drop for GroupSocket {
    fn drop(&mut self) {
        // If it is gone already, nothing is left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the socket of a launcher that was killed.
fn remove_if_unused(path: &Path) -> io::Result<()> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another launcher runs these settings",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

async fn accept(listener: UnixListener, board: Board) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((client, _)) = listener.accept().await else {
            // Too many open files, which pass; the launcher must not be busy with it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let board = board.clone();
        tokio::spawn(async move {
            // A client that goes away or is too slow needs no answer.
            let _ = timeout(CLIENT_PATIENCE, answer(client, &board)).await;
            drop(place);
        });
    }
}

async fn answer(client: UnixStream, board: &Board) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut question = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST_QUESTION));
    reader.read_line(&mut question).await?;
    if let Ok(Question::Status) = serde_json::from_str(&question) {
        let status = board.collect(PATIENCE).await;
        writer.write_all(&control::line(&status)?).await?;
    }
    writer.shutdown().await
}
