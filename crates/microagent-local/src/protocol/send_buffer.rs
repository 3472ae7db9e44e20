//! A buffer of frames to send: one system call writes many of them.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::codec::Encoder;

/// The size from which the buffer should be flushed.
const FULL: usize = 64 * 1024;

/// The capacity that is kept for the next frames, which are usually small.
const KEPT: usize = 1024 * 1024;

/// Collects frames and writes them together.
#[derive(Debug)]
pub(crate) struct SendBuffer<W, C> {
    stream: W,
    codec: C,
    bytes: BytesMut,
}

impl<W: AsyncWrite + Unpin, C> SendBuffer<W, C> {
    pub(crate) fn new(stream: W, codec: C) -> Self {
        Self {
            stream,
            codec,
            bytes: BytesMut::with_capacity(FULL),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a frame, which goes out with the next flush.
    pub(crate) fn put<F>(&mut self, frame: F) -> io::Result<()>
    where
        C: Encoder<F, Error = io::Error>,
    {
        self.codec.encode(frame, &mut self.bytes)
    }

    /// Writes the buffered frames. If it is cancelled, the next call continues.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.bytes).await?;
        if self.bytes.capacity() > KEPT {
            self.bytes = BytesMut::with_capacity(FULL);
        }
        self.stream.flush().await
    }
}
