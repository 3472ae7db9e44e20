//! One connection: greets the peer, then carries its frames to the actor and the actor's to it.
//!
//! It judges nothing but the greeting, the framing and the silence; pings it answers itself.

use std::{io, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf, split},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::codec::FramedRead;
use tracing::{debug, warn};

use super::{
    actor::Inbox,
    connections::{ConnectionId, Outbox, WeakOutgoing, outgoing},
};
use crate::protocol::{
    ClientFrame, Hello, HubCodec, HubFrame, PING, RequestId, Requested, SILENCE, SendBuffer,
    VERSION,
};

/// Many small frames are read in one call of the system.
const BUFFER: usize = 64 * 1024;

/// What one chunk for the actor holds as a rule.
const CHUNK: usize = 32;

/// What one chunk for the actor holds at most; a single frame may be heavier.
const MAX_CHUNK: usize = 256;
const MAX_CHUNK_WEIGHT: u32 = 1024;

/// How much of a connection may wait for the disk, in the units of [`weight`]: 64 MiB, or as many small messages.
const WINDOW: usize = 64 * 1024;

type Reader<S> = FramedRead<ReadHalf<S>, HubCodec>;
type Writer<S> = SendBuffer<WriteHalf<S>, HubCodec>;

/// Serves a peer until it goes, is silent for too long, or the hub lets it go.
pub(super) async fn serve<S>(
    stream: S,
    pid: Option<i32>,
    id: ConnectionId,
    inbox: mpsc::Sender<Inbox>,
) where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = split(stream);
    let mut reader = FramedRead::with_capacity(reader, HubCodec, BUFFER);
    let mut writer = SendBuffer::new(writer, HubCodec);
    let hello = match greet(&mut reader, &mut writer).await {
        Ok(hello) => hello,
        Err(error) => {
            warn!(pid, %error, "a connection to the hub failed before it began");
            return;
        }
    };
    let (outgoing, outbox) = outgoing();
    let pongs = outgoing.downgrade();
    let window = Arc::new(Semaphore::new(WINDOW));
    let joined = Inbox::Joined {
        id,
        hello,
        outgoing,
        window: window.clone(),
    };
    if inbox.send(joined).await.is_err() {
        return;
    }
    let ended = tokio::select! {
        ended = read(&mut reader, id, &inbox, &pongs, &window) => ended,
        ended = write(&mut writer, outbox) => ended,
    };
    debug!(pid = hello.pid, ended = %reason(&ended), "a connection to the hub ended");
    // A hub that is gone needs no word of it.
    let _ = inbox.send(Inbox::Left(id)).await;
}

async fn greet<S>(reader: &mut Reader<S>, writer: &mut Writer<S>) -> io::Result<Hello>
where
    S: AsyncRead + AsyncWrite,
{
    let first = within(reader.next()).await?;
    let hello = match first.transpose()? {
        Some(ClientFrame::Hello(hello)) => hello,
        Some(_) => return Err(invalid("the peer did not begin with a greeting")),
        None => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    // Also to a peer of another version: so it learns which one it met.
    writer.put(HubFrame::Welcome { version: VERSION })?;
    within(writer.flush()).await??;
    if hello.version != VERSION {
        return Err(invalid(format!(
            "the peer speaks version {} of the protocol, this hub speaks {VERSION}: all programs of one folder must be \
             built with the same one",
            hello.version
        )));
    }
    Ok(hello)
}

async fn read<S: AsyncRead>(
    reader: &mut Reader<S>,
    id: ConnectionId,
    inbox: &mpsc::Sender<Inbox>,
    pongs: &WeakOutgoing,
    window: &Semaphore,
) -> io::Result<()> {
    loop {
        let Some(first) = within(reader.next()).await?.transpose()? else {
            return Ok(());
        };
        let (chunk, weight) = gather(reader, first, pongs)?;
        if chunk.is_empty() {
            continue;
        }
        if !take(window, weight, pongs).await {
            return Ok(());
        }
        if inbox.send(Inbox::Said(id, chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// Whoever sends faster than the disk takes waits here, and nobody else does. The peer, whose pings are not read meanwhile,
/// hears that the hub lives. False when the connection is over.
async fn take(window: &Semaphore, weight: u32, pongs: &WeakOutgoing) -> bool {
    loop {
        match timeout(PING, window.acquire_many(weight)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                return true;
            }
            Ok(Err(_)) => return false,
            Err(_) => pongs.pong(),
        }
    }
}

type Chunk = Vec<(RequestId, Requested)>;

/// Everything that has arrived already, up to a full chunk.
fn gather<S: AsyncRead>(
    reader: &mut Reader<S>,
    first: ClientFrame,
    pongs: &WeakOutgoing,
) -> io::Result<(Chunk, u32)> {
    let (mut chunk, mut total) = (Vec::with_capacity(CHUNK), 0);
    let mut next = Some(first);
    while let Some(frame) = next {
        match frame {
            ClientFrame::Ping => pongs.pong(),
            ClientFrame::Hello(_) => return Err(invalid("the peer greeted twice")),
            ClientFrame::Request(id, request) => {
                total += weight(&request);
                chunk.push((id, request));
            }
        }
        if chunk.len() >= MAX_CHUNK || total >= MAX_CHUNK_WEIGHT {
            break;
        }
        next = reader.next().now_or_never().flatten().transpose()?;
    }
    Ok((chunk, total))
}

/// What a request takes of its connection's window until it is durable.
pub(super) fn weight(request: &Requested) -> u32 {
    match request {
        // Bounded by the size of a frame.
        Requested::Send { payload, .. } => {
            1 + u32::try_from(payload.len() / 1024).unwrap_or(u32::MAX)
        }
        _ => 0,
    }
}

async fn write<S: AsyncWrite>(writer: &mut Writer<S>, mut outbox: Outbox) -> io::Result<()> {
    let mut batch = Vec::with_capacity(MAX_CHUNK);
    while outbox.next(&mut batch, MAX_CHUNK).await > 0 {
        for frame in batch.drain(..) {
            outbox.left(&frame);
            writer.put(frame)?;
            if writer.is_full() {
                within(writer.flush()).await??;
            }
        }
        within(writer.flush()).await??;
    }
    Ok(())
}

async fn within<T>(step: impl Future<Output = T>) -> io::Result<T> {
    timeout(SILENCE, step).await.map_err(|_| silent(SILENCE))
}

fn silent(after: Duration) -> io::Error {
    let text = format!("the peer was silent for {} s", after.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

fn reason(ended: &io::Result<()>) -> String {
    match ended {
        Ok(()) => "closed".to_owned(),
        Err(error) => error.to_string(),
    }
}
