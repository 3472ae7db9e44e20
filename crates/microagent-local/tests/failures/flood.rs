//! A program that asks the hub for something again and again and never reads: the hub's memory is bounded, and others are served.
//!
//! The frames are written out here: a client of ours reads.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use microagent_core::{ConsumeOptions, QueueBroker, Route, SendOptions};
use tokio::{io::AsyncWriteExt, net::UnixStream, time::timeout};

use crate::bench::{Bench, JOBS, SOON, next, within};

/// The hub reads less than this of one that does not read.
const MOST: usize = 32 * 1024 * 1024;

/// The memory that one connection may cost the hub, in a debug build.
const MOST_KIB: u64 = 200 * 1024;

/// The version of the protocol.
const VERSION: u16 = 3;

const MEGABYTE: usize = 1024 * 1024;

fn frame(fields: &[&[u8]]) -> Vec<u8> {
    let fields = fields.concat();
    let length = u32::try_from(fields.len()).unwrap();
    [length.to_le_bytes().as_slice(), &fields].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [length.to_le_bytes().as_slice(), text.as_bytes()].concat()
}

/// A request of this kind, by its number.
fn request(kind: u8, id: u64, fields: &[&[u8]]) -> Vec<u8> {
    let start: [&[u8]; 3] = [&[3], &id.to_le_bytes(), &[kind]];
    frame(&[&start, fields].concat())
}

fn hello() -> Vec<u8> {
    frame(&[
        &[1],
        b"microhub",
        &VERSION.to_le_bytes(),
        &[7; 16],
        &std::process::id().to_le_bytes(),
    ])
}

/// The frame of this name and number.
fn frame_of(kind: &str, id: u64) -> Vec<u8> {
    let jobs = text(JOBS.name());
    let number = u32::try_from(id).unwrap().to_le_bytes();
    match kind {
        "ping" => frame(&[&[2]]),
        "subscribe" => request(2, id, &[&number, &text(&format!("PUBSUB:{id}:*"))]),
        "length" => request(8, id, &[&jobs]),
        "declare" => request(9, id, &[&jobs]),
        "flush" => request(11, id, &[]),
        "peek" => request(13, id, &[&jobs, &[0; 4], &100_u32.to_le_bytes()]),
        "consume" => request(5, id, &[&number, &jobs, &65_535_u32.to_le_bytes()]),
        other => panic!("no frame is called {other}"),
    }
}

/// Writes such frames until the hub reads no more.
async fn flood(stream: &mut UnixStream, kind: &str) -> usize {
    let (mut written, mut id) = (0, 0);
    loop {
        let mut bytes = Vec::new();
        while bytes.len() < 64 * 1024 {
            id += 1;
            bytes.extend(frame_of(kind, id));
        }
        match timeout(Duration::from_secs(2), stream.write_all(&bytes)).await {
            Err(_) => return written,
            Ok(done) => done.unwrap(),
        }
        written += bytes.len();
        assert!(written < MOST, "{kind}: the hub does not stop reading");
    }
}

#[tokio::test]
async fn a_client_that_never_reads_costs_bounded_memory_and_delays_nobody() {
    let bench = Bench::new();
    let host = bench.host().await;
    let broker = bench.broker().await;
    for _ in 0..12 {
        let (to, options) = (Route::from(JOBS), SendOptions::default());
        let large = bytes::Bytes::from(vec![b'x'; 8 * MEGABYTE]);
        broker.send(&to, large, options).await.unwrap();
    }
    let before = host.peak_kib();
    for kind in [
        "ping",
        "subscribe",
        "length",
        "declare",
        "flush",
        "peek",
        "consume",
    ] {
        let socket = bench.folder().join("hub.sock");
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream.write_all(&hello()).await.unwrap();
        let written = flood(&mut stream, kind).await;
        let asked = Instant::now();
        within(SOON, "an answer", broker.length(&JOBS))
            .await
            .unwrap();
        let took = asked.elapsed();
        assert!(
            took < Duration::from_secs(2),
            "{kind}: others wait {took:?}"
        );
        let grown = host.peak_kib().saturating_sub(before);
        let line = format!(
            "{kind}: {written} bytes written, {grown} KiB more, an answer to another in {took:?}\n"
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(grown < MOST_KIB, "{kind}: {grown} KiB for {written} bytes");
    }
    // The messages that were under way to the last of them go to another.
    let options = ConsumeOptions::with_prefetch(1);
    let mut jobs = broker.consume(&JOBS, options).await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
}
