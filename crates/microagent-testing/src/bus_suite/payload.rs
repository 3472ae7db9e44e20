//! Payloads arrive unchanged.

use super::{BusServer, server::Fixture};

/// A payload is any sequence of bytes: empty, all 256 values, or text that looks like a protocol.
pub async fn a_payload_is_untouched<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let channel = fixture.channel("s:a");
    let mut listener = here.listen(&fixture.channel("s:*")).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads: [&[u8]; 5] = [
        b"",
        b"\xff",
        &every_byte,
        b"*1\r\n$4\r\nPING\r\n",
        b"{\"a\": 1}\n",
    ];
    for payload in payloads {
        there.publish(&channel, payload.to_vec()).await;
        listener.receives(&channel, payload).await;
    }
}

/// A mebibyte arrives complete, and so does the message after it.
pub async fn a_mebibyte_arrives_whole<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let channel = fixture.channel("s:a");
    let mut listener = here.listen(&fixture.channel("s:*")).await;
    let big: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[0]).collect();
    there.publish(&channel, big.clone()).await;
    there.publish(&channel, "next").await;
    let message = listener.next().await;
    assert_eq!(message.payload.len(), big.len());
    assert!(
        message.payload == big,
        "a mebibyte arrived with other bytes"
    );
    listener.receives(&channel, b"next").await;
}
