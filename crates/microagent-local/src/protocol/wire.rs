//! Fields: numbers in little endian, and byte strings with their length in front.

use std::{
    io,
    time::{Duration, SystemTime},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{MAX_HEADERS, MAX_TEXT, Text};
use crate::store::Headers;

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    // A frame's bound is checked before it is sent, and is far below this.
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

pub(super) fn put_headers(out: &mut BytesMut, headers: &Headers) {
    out.put_u32_le(u32::try_from(headers.len()).unwrap_or(u32::MAX));
    for (name, value) in headers {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

pub(super) fn put_texts(out: &mut BytesMut, texts: &[Text]) {
    out.put_u32_le(u32::try_from(texts.len()).unwrap_or(u32::MAX));
    for text in texts {
        put_bytes(out, text.as_bytes());
    }
}

/// Writes a duration, rounded up to the next millisecond: a delay is never shorter than requested.
pub(super) fn put_duration(out: &mut BytesMut, duration: Duration) {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    out.put_u64_le(u64::try_from(millis).unwrap_or(u64::MAX));
}

/// Writes a time in milliseconds since the Unix epoch; zero means none.
pub(super) fn put_instant(out: &mut BytesMut, instant: Option<SystemTime>) {
    let since = instant.and_then(|instant| instant.duration_since(SystemTime::UNIX_EPOCH).ok());
    put_duration(out, since.unwrap_or_default());
}

/// Reads the fields of a frame from its front. A missing or superfluous byte is an error.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// The frame with which byte strings share memory, if they do.
    shared: Option<&'a Bytes>,
}

impl<'a> Fields<'a> {
    /// Reads a frame in a buffer that is used again: its byte strings are copied.
    pub(super) fn copied(frame: &'a [u8]) -> Self {
        Self {
            rest: frame,
            shared: None,
        }
    }

    /// Reads a frame with which its byte strings share memory.
    pub(super) fn shared(frame: &'a Bytes) -> Self {
        Self {
            rest: frame,
            shared: Some(frame),
        }
    }

    pub(super) fn u8(&mut self) -> io::Result<u8> {
        self.rest.try_get_u8().map_err(short)
    }

    pub(super) fn u16(&mut self) -> io::Result<u16> {
        self.rest.try_get_u16_le().map_err(short)
    }

    pub(super) fn u32(&mut self) -> io::Result<u32> {
        self.rest.try_get_u32_le().map_err(short)
    }

    pub(super) fn u64(&mut self) -> io::Result<u64> {
        self.rest.try_get_u64_le().map_err(short)
    }

    pub(super) fn u128(&mut self) -> io::Result<u128> {
        self.rest.try_get_u128_le().map_err(short)
    }

    pub(super) fn flag(&mut self) -> io::Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(malformed(format!("invalid flag {other}: expected 0 or 1"))),
        }
    }

    pub(super) fn bytes(&mut self) -> io::Result<Bytes> {
        let bytes = self.slice()?;
        Ok(match self.shared {
            Some(frame) => frame.slice_ref(bytes),
            None => Bytes::copy_from_slice(bytes),
        })
    }

    pub(super) fn text(&mut self) -> io::Result<Text> {
        self.text_within(MAX_TEXT)
    }

    pub(super) fn duration(&mut self) -> io::Result<Duration> {
        Ok(Duration::from_millis(self.u64()?))
    }

    pub(super) fn instant(&mut self) -> io::Result<Option<SystemTime>> {
        let since = Some(self.duration()?).filter(|since| !since.is_zero());
        Ok(since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
    }

    pub(super) fn headers(&mut self) -> io::Result<Headers> {
        let count = self.u32()? as usize;
        // Each has two lengths at least, so a lie about the count cannot allocate more than the frame is large.
        if count > self.rest.len() / 8 {
            return Err(malformed(format!(
                "invalid count of {count} headers: {} bytes are left of the frame",
                self.rest.len()
            )));
        }
        let mut headers = Headers::with_capacity(count);
        for _ in 0..count {
            let name = self.text_within(MAX_HEADERS)?.to_string();
            headers.push((name, self.text_within(MAX_HEADERS)?.to_string()));
        }
        Ok(headers)
    }

    pub(super) fn texts(&mut self) -> io::Result<Vec<Text>> {
        let count = self.u32()? as usize;
        // Each has a length at least, so a lie about the count cannot allocate more than the frame is large.
        if count > self.rest.len() / 4 {
            return Err(malformed(format!(
                "invalid count of {count} texts: {} bytes are left of the frame",
                self.rest.len()
            )));
        }
        (0..count).map(|_| self.text()).collect()
    }

    pub(super) fn end(self) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(malformed(format!(
            "{} bytes are left at the end of a frame",
            self.rest.len()
        )))
    }

    fn slice(&mut self) -> io::Result<&'a [u8]> {
        let length = self.u32()? as usize;
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            return Err(malformed(format!(
                "invalid field of {length} bytes: {} are left of the frame",
                self.rest.len()
            )));
        };
        self.rest = rest;
        Ok(bytes)
    }

    fn text_within(&mut self, limit: usize) -> io::Result<Text> {
        let bytes = self.slice()?;
        if bytes.len() > limit {
            return Err(malformed(format!(
                "invalid text of {} bytes: expected at most {limit}",
                bytes.len()
            )));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| malformed("invalid text: expected UTF-8"))?;
        Ok(Text::new(text))
    }
}

pub(super) fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn short(_: bytes::TryGetError) -> io::Error {
    malformed("a frame ends before its fields do")
}
