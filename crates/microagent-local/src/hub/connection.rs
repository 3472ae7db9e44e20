//! A connection: greets the client, then carries frames between the client and the actor.
//!
//! It checks only the greeting, the framing and the silence of the client. It answers pings itself.

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf, split},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::codec::FramedRead;
use tracing::{debug, warn};

use super::{
    actor::ActorMessage,
    connections::ConnectionId,
    outgoing::{FrameReceiver, WINDOW, WeakFrameSender, outgoing},
};
use crate::{
    log_limit::LogLimit,
    protocol::{
        Browse, ClientFrame, Failure, GreetingCodec, Hello, HubCodec, HubFrame, PING, Request,
        RequestId, SILENCE, SendBuffer, VERSION, WireSettlement, message_size,
    },
};

/// The size of the read buffer. One system call reads many small frames.
const BUFFER: usize = 64 * 1024;

/// The usual number of requests in a chunk for the actor.
const CHUNK: usize = 32;

/// The maximum number of frames that are written at once.
const MAX_BATCH: usize = 256;

/// The maximum weight of a chunk for the actor. Its last frame may exceed it.
const MAX_CHUNK_WEIGHT: u32 = 256;

/// The weight of a request to peek, whose messages can have many megabytes: a connection has at most two of
/// them under way.
const PEEK_WEIGHT: u32 = WINDOW / 2;

/// The time for which requests are still read after writing to the client has failed.
const FINAL_WRITES: Duration = Duration::from_secs(1);

/// The time for which arrived data is still read after a client was silent for too long.
const LATE_READ: Duration = Duration::from_millis(250);

static GREETING_LIMIT: LogLimit = LogLimit::new();

type Reader<S> = FramedRead<ReadHalf<S>, HubCodec>;
type GreetingReader<S> = FramedRead<ReadHalf<S>, GreetingCodec>;
type Writer<S> = SendBuffer<WriteHalf<S>, HubCodec>;

/// Serves a client until it disconnects, is silent for too long, or the hub closes the connection.
pub(super) async fn serve<S>(
    stream: S,
    pid: Option<i32>,
    id: ConnectionId,
    inbox: mpsc::Sender<ActorMessage>,
) where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = split(stream);
    let mut reader = FramedRead::with_capacity(reader, GreetingCodec, BUFFER);
    let mut writer = SendBuffer::new(writer, HubCodec);
    let hello = match greet(&mut reader, &mut writer).await {
        Ok(hello) => hello,
        Err(error) => {
            if let Some(omitted) = GREETING_LIMIT.admit() {
                warn!(pid, %error, omitted, "the greeting of a client failed; closed its connection");
            }
            return;
        }
    };
    let mut reader = reader.map_decoder(|_| HubCodec);
    let window = Arc::new(Semaphore::new(WINDOW as usize));
    let (outgoing, outbox) = outgoing(window.clone());
    let pongs = outgoing.downgrade();
    let joined = ActorMessage::Connected {
        id,
        hello,
        outgoing,
    };
    if inbox.send(joined).await.is_err() {
        return;
    }
    let mut reading = pin!(read(&mut reader, id, &inbox, &pongs, &window));
    let ended = tokio::select! {
        ended = &mut reading => ended,
        ended = write(&mut writer, outbox, id, &inbox) => {
            // A client that has disconnected may have sent requests before, above all a goodbye.
            if ended.is_err() {
                let _ = timeout(FINAL_WRITES, reading).await;
            }
            ended
        }
    };
    debug!(pid = hello.pid, ended = %reason(&ended), "a connection to the hub ended");
    // If this fails the hub has ended.
    let _ = inbox.send(ActorMessage::Disconnected(id)).await;
}

async fn greet<S>(reader: &mut GreetingReader<S>, writer: &mut Writer<S>) -> io::Result<Hello>
where
    S: AsyncRead + AsyncWrite,
{
    let hello = read_hello(reader).await?;
    // Sent to a client of another version too, so that it learns the version of this hub.
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

async fn read_hello<S: AsyncRead>(reader: &mut GreetingReader<S>) -> io::Result<Hello> {
    match within(reader.next()).await?.transpose()? {
        Some(ClientFrame::Hello(hello)) => Ok(hello),
        Some(_) => Err(invalid("the client did not begin with a greeting")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Answers the greeting of a client with a failure.
pub(super) async fn reject<S>(stream: S, failure: Failure)
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = split(stream);
    let mut reader = FramedRead::new(reader, GreetingCodec);
    let mut writer = SendBuffer::new(writer, HubCodec);
    let answered = async {
        read_hello(&mut reader).await?;
        writer.put(HubFrame::Done(0, Err(failure)))?;
        within(writer.flush()).await?
    };
    if let Err(error) = answered.await {
        debug!(%error, "a rejected client did not wait for the answer to its greeting");
    }
}

async fn read<S: AsyncRead>(
    reader: &mut Reader<S>,
    id: ConnectionId,
    inbox: &mpsc::Sender<ActorMessage>,
    pongs: &WeakFrameSender,
    window: &Semaphore,
) -> io::Result<()> {
    loop {
        let Some(first) = within(reader.next()).await?.transpose()? else {
            return Ok(());
        };
        let (chunk, weight) = gather(reader, first, pongs)?;
        if !take(window, weight, pongs).await {
            return Ok(());
        }
        if chunk.is_empty() {
            continue;
        }
        if inbox.send(ActorMessage::Requests(id, chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// Waits until the connection has room for requests of this weight. A client that sends faster than the disk
/// writes, or than it reads the replies, waits here, and no other client does. Its pings are not read
/// meanwhile, so pongs are sent to tell it that the hub lives. Returns false when the connection has ended.
async fn take(window: &Semaphore, weight: u32, pongs: &WeakFrameSender) -> bool {
    loop {
        match timeout(PING, window.acquire_many(weight)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                return true;
            }
            Ok(Err(_)) => return false,
            Err(_) => pongs.pong(0),
        }
    }
}

type Chunk = Vec<(RequestId, Request)>;

/// Takes the requests that have arrived, up to a full chunk.
fn gather<S: AsyncRead>(
    reader: &mut Reader<S>,
    first: ClientFrame,
    pongs: &WeakFrameSender,
) -> io::Result<(Chunk, u32)> {
    let (mut chunk, mut total) = (Vec::with_capacity(CHUNK), 0);
    let mut next = Some(first);
    while let Some(frame) = next {
        match frame {
            ClientFrame::Ping => {
                total += 1;
                pongs.pong(1);
            }
            ClientFrame::Hello(_) => return Err(invalid("the client sent a second greeting")),
            ClientFrame::Request(id, request) => {
                total += weight(&request);
                chunk.push((id, request));
            }
        }
        if total >= MAX_CHUNK_WEIGHT {
            break;
        }
        next = reader.next().now_or_never().flatten().transpose()?;
    }
    Ok((chunk, total))
}

/// Returns how much of its connection's window a request takes until its reply is sent: 1, and 1 for each KiB
/// that it carries.
pub(super) fn weight(request: &Request) -> u32 {
    let bytes = match request {
        Request::Browse(Browse::Peek { .. }) => return PEEK_WEIGHT,
        Request::Send {
            queue,
            payload,
            headers,
            ..
        } => queue.len() + message_size(payload.len(), headers),
        Request::Publish { channel, payload } => channel.len() + payload.len(),
        Request::Settle {
            settlement: WireSettlement::DeadLetter { queue, headers },
            ..
        } => queue.len() + message_size(0, headers),
        Request::Lease { key, holder, .. } => key.len() + holder.len(),
        Request::Subscribe { pattern: name, .. }
        | Request::Channels { head: name }
        | Request::Consume { queue: name, .. }
        | Request::Length { queue: name }
        | Request::Depth { queue: name }
        | Request::Declare { queue: name }
        | Request::Browse(
            Browse::Requeue { to: name, .. }
            | Browse::RequeueOne { to: name, .. }
            | Browse::Purge { queue: name, .. }
            | Browse::PurgeOne { queue: name, .. },
        ) => name.len(),
        Request::Unsubscribe { .. }
        | Request::Cancel { .. }
        | Request::Settle { .. }
        | Request::Flush
        | Request::Goodbye => 0,
    };
    // Bounded by the size of a frame.
    1 + u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}

async fn write<S: AsyncWrite>(
    writer: &mut Writer<S>,
    mut outbox: FrameReceiver,
    id: ConnectionId,
    inbox: &mpsc::Sender<ActorMessage>,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while outbox.next(&mut batch, MAX_BATCH).await > 0 {
        for out in batch.drain(..) {
            if outbox.gone(&out) {
                // If this fails the hub has ended, and has nothing more to send.
                let _ = inbox.send(ActorMessage::Room(id)).await;
            }
            writer.put(out.frame)?;
            if writer.is_full() {
                within(writer.flush()).await??;
            }
        }
        within(writer.flush()).await??;
    }
    Ok(())
}

/// Waits for a step of the client until it has been silent for too long. If this process itself was stopped or
/// suspended, the time ends before the runtime has seen the data that arrived. That data is read first.
async fn within<T>(step: impl Future<Output = T>) -> io::Result<T> {
    let mut step = pin!(step);
    if let Ok(done) = timeout(SILENCE, &mut step).await {
        return Ok(done);
    }
    let arrived = timeout(LATE_READ, step).await;
    arrived.map_err(|_| silent(SILENCE))
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
