//! An attempt to connect: hosts the folder if no process does, then connects to the host.

use std::{io, path::Path, sync::Arc};

use futures_util::StreamExt;
use microagent_core::{Error, ErrorKind, Result};
use rustix::process::geteuid;
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::codec::FramedRead;

use crate::{
    error::{other_version, unavailable},
    host::{HostElection, process},
    protocol::{ClientCodec, ClientFrame, Hello, HubFrame, SILENCE, SendBuffer, VERSION},
};

const BUFFER: usize = 64 * 1024;

/// A connection to a hub that has answered the greeting.
pub(super) struct HubStream {
    pub(super) reader: FramedRead<OwnedReadHalf, ClientCodec>,
    pub(super) writer: SendBuffer<OwnedWriteHalf, ClientCodec>,
}

/// Connects to the hub, and hosts it if no process does.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable) if a later attempt may succeed, and the errors of the folder.
pub(super) async fn dial(election: Arc<HostElection>) -> Result<HubStream> {
    election.host_if_free().await?;
    let socket = election.folder().socket();
    let connected = UnixStream::connect(&socket).await.map_err(|error| {
        let text = format!("{}: cannot connect to the hub: {error}", socket.display());
        unavailable(text).with_source(error)
    })?;
    check_user(&connected, &socket)?;
    let (reader, writer) = connected.into_split();
    let mut stream = HubStream {
        reader: FramedRead::with_capacity(reader, ClientCodec, BUFFER),
        writer: SendBuffer::new(writer, ClientCodec),
    };
    match timeout(SILENCE, greet(&mut stream)).await {
        Ok(Ok(VERSION)) => Ok(stream),
        Ok(Ok(version)) => Err(other_version(version)),
        Ok(Err(error)) => Err(unavailable(format!(
            "the hub closed the connection: {error}"
        ))),
        Err(_) => Err(unavailable(format!(
            "the hub did not answer within {} s; is its process stopped?",
            SILENCE.as_secs()
        ))),
    }
}

/// Checks that the hub runs as the same user or as root: the hub of another user could read every message.
fn check_user(hub: &UnixStream, socket: &Path) -> Result<()> {
    let hub = hub.peer_cred().map_err(|error| {
        let text = format!("{}: cannot connect to the hub: {error}", socket.display());
        unavailable(text).with_source(error)
    })?;
    let user = geteuid().as_raw();
    if hub.uid() == user || hub.uid() == 0 {
        return Ok(());
    }
    let text = format!(
        "{}: the hub is run by user {}, and this process by user {user}; use a folder of your own",
        socket.display(),
        hub.uid()
    );
    Err(Error::new(ErrorKind::Configuration, text))
}

/// Greets the hub, and returns the hub's version of the protocol.
async fn greet(stream: &mut HubStream) -> io::Result<u16> {
    let hello = Hello {
        version: VERSION,
        process: process(),
        pid: std::process::id(),
    };
    stream.writer.put(&ClientFrame::Hello(hello))?;
    stream.writer.flush().await?;
    match stream.reader.next().await.transpose()? {
        Some(HubFrame::Welcome { version }) => Ok(version),
        Some(HubFrame::Done(_, Err(failure))) => Err(io::Error::other(failure.text)),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it did not answer the greeting with a greeting",
        )),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
