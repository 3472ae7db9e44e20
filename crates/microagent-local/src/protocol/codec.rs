//! Cuts the stream into frames, and puts them into it.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::{
    ClientFrame, HubFrame, MAX_FRAME, MAX_HUB_FRAME, decode, encode,
    wire::{Fields, malformed},
};

/// The hub's end: reads what clients say.
#[derive(Debug)]
pub(crate) struct HubCodec;

/// The hub's end before the greeting: reads a client's first frame, for which it takes little memory.
#[derive(Debug)]
pub(crate) struct GreetingCodec;

/// The most bytes of a greeting, of any version.
const MAX_GREETING: usize = 4096;

/// The client's end: reads what the hub says.
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

/// A frame of so many bytes keeps the buffer that it came in. What is smaller is copied out of it: else a small payload
/// would keep a large buffer, and each read would need a new one.
const LARGE: usize = 32 * 1024;

/// The next frame, when all of it is there. Nothing is set aside for a length that is only announced.
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
            "a frame of {length} bytes, and {limit} are allowed"
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
            "a frame of {length} bytes, and {limit} are allowed"
        )));
    }
    // Bounded by the check above.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
    Ok(())
}
