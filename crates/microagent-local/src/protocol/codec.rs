//! Converts between a byte stream and frames.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::{
    ClientFrame, HubFrame, MAX_FRAME, MAX_HUB_FRAME, decode, encode,
    wire::{Fields, malformed},
};

/// The codec of the hub: reads frames of clients.
#[derive(Debug)]
pub(crate) struct HubCodec;

/// The codec of the hub before the greeting: reads a client's first frame, and takes little memory for it.
#[derive(Debug)]
pub(crate) struct GreetingCodec;

/// The most bytes of a greeting, of any version.
const MAX_GREETING: usize = 4096;

/// The codec of a client: reads frames of the hub.
#[derive(Debug)]
pub(crate) struct ClientCodec;

impl Decoder for HubCodec {
    type Item = ClientFrame;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<ClientFrame>> {
        cut(src, MAX_FRAME, decode::client_frame)
    }
}

impl Decoder for GreetingCodec {
    type Item = ClientFrame;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<ClientFrame>> {
        cut(src, MAX_GREETING, decode::client_frame)
    }
}

impl Encoder<HubFrame> for HubCodec {
    type Error = io::Error;

    fn encode(&mut self, frame: HubFrame, out: &mut BytesMut) -> io::Result<()> {
        framed(out, MAX_HUB_FRAME, |out| encode::hub_frame(out, &frame))
    }
}

impl Decoder for ClientCodec {
    type Item = HubFrame;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<HubFrame>> {
        cut(src, MAX_HUB_FRAME, decode::hub_frame)
    }
}

impl Encoder<&ClientFrame> for ClientCodec {
    type Error = io::Error;

    fn encode(&mut self, frame: &ClientFrame, out: &mut BytesMut) -> io::Result<()> {
        framed(out, MAX_FRAME, |out| encode::client_frame(out, frame))
    }
}

const LENGTH: usize = 4;

/// A frame of at least this many bytes keeps the buffer in which it arrived. A smaller one is copied out of the
/// buffer: otherwise a small payload would keep a large buffer, and each read would need a new one.
const LARGE: usize = 32 * 1024;

/// Returns the next frame if all of it has arrived. Allocates nothing for a length that is only announced.
fn cut<T>(
    src: &mut BytesMut,
    limit: usize,
    decode: impl FnOnce(Fields<'_>) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let Some(length) = src.first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > limit {
        return Err(malformed(format!(
            "invalid frame of {length} bytes: expected at most {limit}"
        )));
    }
    if src.len() < LENGTH + length {
        return Ok(None);
    }
    src.advance(LENGTH);
    if length >= LARGE {
        let frame = src.split_to(length).freeze();
        return decode(Fields::shared(&frame)).map(Some);
    }
    let frame = decode(Fields::copied(&src[..length]));
    src.advance(length);
    frame.map(Some)
}

fn framed(out: &mut BytesMut, limit: usize, write: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
    let start = out.len();
    out.put_u32_le(0);
    write(out);
    let length = out.len() - start - LENGTH;
    if length > limit {
        out.truncate(start);
        return Err(malformed(format!(
            "invalid frame of {length} bytes: expected at most {limit}"
        )));
    }
    // Bounded by the check above.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
    Ok(())
}
