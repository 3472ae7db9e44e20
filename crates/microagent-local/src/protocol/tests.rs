//! Frames survive the way there and back, and nothing that arrives does harm.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use microagent_core::ErrorKind;
use proptest::{collection::vec, option, prelude::*};
use tokio_util::codec::{Decoder, Encoder};

use super::{
    Browse, ClientCodec, ClientFrame, Failure, Hello, HubCodec, HubFrame, MAX_FRAME, QueueCounts,
    Request, Text, VERSION, WireMessage, WireSettlement,
};
use crate::store::Headers;

fn text() -> impl Strategy<Value = Text> {
    ".{0,20}".prop_map(Text::from)
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..60).prop_map(Bytes::from)
}

fn headers() -> impl Strategy<Value = Headers> {
    vec((".{0,9}", ".{0,9}"), 0..4)
}

fn delay() -> impl Strategy<Value = Duration> {
    (1..1_000_000_u64).prop_map(Duration::from_millis)
}

fn settlement() -> impl Strategy<Value = WireSettlement> {
    prop_oneof![
        Just(WireSettlement::Ack),
        Just(WireSettlement::Return),
        delay().prop_map(|after| WireSettlement::Retry { after }),
        (text(), headers())
            .prop_map(|(queue, headers)| WireSettlement::DeadLetter { queue, headers }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (text(), payload()).prop_map(|(channel, payload)| Request::Publish { channel, payload }),
        (any::<u32>(), text()).prop_map(|(sub, pattern)| Request::Subscribe { sub, pattern }),
        any::<u32>().prop_map(|sub| Request::Unsubscribe { sub }),
        text().prop_map(|head| Request::Channels { head }),
        (text(), payload(), headers(), option::of(delay())).prop_map(
            |(queue, payload, headers, delay)| Request::Send {
                queue,
                payload,
                headers,
                delay
            }
        ),
        (any::<u32>(), text(), any::<u32>()).prop_map(|(consumer, queue, prefetch)| {
            Request::Consume {
                consumer,
                queue,
                prefetch,
            }
        }),
        (any::<u32>(), any::<bool>()).prop_map(|(consumer, give_back)| Request::Cancel {
            consumer,
            give_back
        }),
        (any::<u32>(), any::<u64>(), settlement()).prop_map(|(consumer, message, settlement)| {
            Request::Settle {
                consumer,
                message,
                settlement,
            }
        }),
        text().prop_map(|queue| Request::Length { queue }),
        text().prop_map(|queue| Request::Declare { queue }),
        text().prop_map(|queue| Request::Depth { queue }),
        browse().prop_map(Request::Browse),
        (text(), text(), delay()).prop_map(|(key, holder, ttl)| Request::Lease {
            key,
            holder,
            ttl
        }),
        Just(Request::Goodbye),
        Just(Request::Flush),
    ]
}

fn browse() -> impl Strategy<Value = Browse> {
    prop_oneof![
        (text(), any::<(u32, u32)>()).prop_map(|(queue, (skip, limit))| Browse::Peek {
            queue,
            skip,
            limit
        }),
        (text(), text(), any::<u32>()).prop_map(|(from, to, limit)| Browse::Requeue {
            from,
            to,
            limit
        }),
        (text(), any::<u32>()).prop_map(|(queue, limit)| Browse::Purge { queue, limit }),
        (text(), text(), any::<u64>()).prop_map(|(from, to, message)| Browse::RequeueOne {
            from,
            to,
            message
        }),
        (text(), any::<u64>()).prop_map(|(queue, message)| Browse::PurgeOne { queue, message }),
    ]
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        (any::<u128>(), any::<u32>()).prop_map(|(process, pid)| ClientFrame::Hello(Hello {
            version: VERSION,
            process,
            pid
        })),
        Just(ClientFrame::Ping),
        (any::<u64>(), request()).prop_map(|(id, request)| ClientFrame::Request(id, request)),
    ]
}

fn wire_message() -> impl Strategy<Value = WireMessage> {
    let state = any::<(u64, u32, u32)>();
    (state, option::of(delay()), headers(), payload()).prop_map(
        |((id, attempt, crashes), first, headers, payload)| WireMessage {
            id,
            attempt,
            crashes,
            first_failure: first.map(|since| SystemTime::UNIX_EPOCH + since),
            headers,
            payload,
        },
    )
}

fn hub_frame() -> impl Strategy<Value = HubFrame> {
    let failure = ".{0,20}".prop_map(|text| Failure::new(ErrorKind::Unavailable, text));
    prop_oneof![
        any::<u16>().prop_map(|version| HubFrame::Welcome { version }),
        Just(HubFrame::Pong),
        (any::<u64>(), option::of(failure))
            .prop_map(|(id, failure)| HubFrame::Done(id, failure.map_or(Ok(()), Err))),
        any::<(u64, u64)>().prop_map(|(first, last)| HubFrame::AllDone(first, last)),
        any::<(u64, u64)>().prop_map(|(id, count)| HubFrame::Count(id, count)),
        (any::<u64>(), option::of(delay())).prop_map(|(id, left)| HubFrame::Lease(id, left)),
        (any::<u64>(), vec(text(), 0..4))
            .prop_map(|(id, channels)| HubFrame::Channels(id, channels)),
        any::<(u64, u64, u64, u64)>().prop_map(|(id, waiting, in_flight, delayed)| {
            let counts = QueueCounts {
                waiting,
                in_flight,
                delayed,
            };
            HubFrame::Depth(id, counts)
        }),
        (any::<u32>(), text(), payload()).prop_map(|(sub, channel, payload)| HubFrame::Event {
            sub,
            channel,
            payload
        }),
        (any::<u32>(), any::<u64>(), delay()).prop_map(|(sub, count, lasted)| HubFrame::Gap {
            sub,
            count,
            lasted
        }),
        (any::<u32>(), wire_message())
            .prop_map(|(consumer, message)| HubFrame::Delivery { consumer, message }),
        (any::<u64>(), wire_message())
            .prop_map(|(request, message)| HubFrame::Shown { request, message }),
    ]
}

/// Feeds the bytes in pieces of this size, as a socket does.
fn decode_in_pieces<D: Decoder>(
    codec: &mut D,
    bytes: &[u8],
    piece: usize,
) -> Result<Vec<D::Item>, D::Error> {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = codec.decode(&mut buffer)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn frames_of_a_client_arrive(frames in vec(client_frame(), 1..6), piece in 1..50_usize) {
        let mut bytes = BytesMut::new();
        for frame in &frames {
            ClientCodec.encode(frame, &mut bytes).unwrap();
        }
        prop_assert_eq!(decode_in_pieces(&mut HubCodec, &bytes, piece).unwrap(), frames);
    }

    #[test]
    fn frames_of_the_hub_arrive(frames in vec(hub_frame(), 1..6), piece in 1..50_usize) {
        let mut bytes = BytesMut::new();
        for frame in frames.clone() {
            HubCodec.encode(frame, &mut bytes).unwrap();
        }
        prop_assert_eq!(decode_in_pieces(&mut ClientCodec, &bytes, piece).unwrap(), frames);
    }

    #[test]
    fn noise_is_an_error_or_a_frame(noise in vec(any::<u8>(), 0..200), piece in 1..50_usize) {
        let _ = decode_in_pieces(&mut HubCodec, &noise, piece);
        let _ = decode_in_pieces(&mut ClientCodec, &noise, piece);
    }

    /// Noise that gets past the length and the kind, where the interesting mistakes are.
    #[test]
    fn a_damaged_frame_is_an_error_or_another_frame(
        frame in client_frame(),
        answer in hub_frame(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (mut request_bytes, mut reply_bytes) = (BytesMut::new(), BytesMut::new());
        ClientCodec.encode(&frame, &mut request_bytes).unwrap();
        HubCodec.encode(answer, &mut reply_bytes).unwrap();
        for bytes in [&mut request_bytes, &mut reply_bytes] {
            // Behind the length: damage there only moves the cut.
            let index = 4 + at.index(bytes.len() - 4);
            bytes[index] = byte;
        }
        let _ = HubCodec.decode(&mut request_bytes);
        let _ = ClientCodec.decode(&mut reply_bytes);
    }
}

fn frame_of(fields: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u32_le(u32::try_from(fields.len()).unwrap());
    bytes.put_slice(fields);
    bytes
}

fn refusal(fields: &[u8]) -> String {
    let refused = HubCodec.decode(&mut frame_of(fields));
    refused.unwrap_err().to_string()
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_anything_is_read() {
    let mut bytes = BytesMut::new();
    bytes.put_u32_le(u32::try_from(MAX_FRAME).unwrap() + 1);
    let refused = HubCodec.decode(&mut bytes).unwrap_err().to_string();
    assert!(refused.contains("expected at most"), "{refused}");
    assert!(bytes.capacity() < 1024);
}

#[test]
fn lies_inside_a_frame_are_told_apart() {
    assert!(refusal(&[99]).contains("kind of frame 99"));
    assert!(refusal(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 99]).contains("kind of request 99"));
    assert!(refusal(&[3, 1]).contains("ends before"));
    assert!(refusal(&[2, 0]).contains("1 bytes are left"));

    let mut lie = vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 8];
    lie.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(refusal(&lie).contains("0 are left"));

    let mut lie = vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0xff];
    assert!(refusal(&lie).contains("UTF-8"));
    lie[10] = 2;
    assert!(refusal(&lie).contains("1 are left"));
}

#[test]
fn a_greeting_of_another_version_is_understood_whatever_follows() {
    let mut greeting = vec![1];
    greeting.extend_from_slice(b"microhub\x07\x00and fields that nobody knows yet");
    let hello = HubCodec.decode(&mut frame_of(&greeting)).unwrap().unwrap();
    assert!(matches!(
        hello,
        ClientFrame::Hello(Hello { version: 7, .. })
    ));
    let welcome = ClientCodec
        .decode(&mut frame_of(&greeting))
        .unwrap()
        .unwrap();
    assert_eq!(welcome, HubFrame::Welcome { version: 7 });
    assert!(refusal(b"\x01GET / HTTP/1.1").contains("does not speak"));
}

#[test]
fn a_frame_that_no_peer_would_accept_is_not_sent() {
    let frame = ClientFrame::Request(
        1,
        Request::Publish {
            channel: "c".into(),
            payload: vec![0; MAX_FRAME].into(),
        },
    );
    let mut bytes = BytesMut::new();
    assert!(ClientCodec.encode(&frame, &mut bytes).is_err());
    assert!(bytes.is_empty());
}

#[test]
fn a_delay_is_rounded_up_and_an_error_keeps_its_kind() {
    let settle = |after| {
        let settlement = WireSettlement::Retry { after };
        let request = Request::Settle {
            consumer: 1,
            message: 2,
            settlement,
        };
        ClientFrame::Request(3, request)
    };
    let mut bytes = BytesMut::new();
    ClientCodec
        .encode(&settle(Duration::from_micros(1)), &mut bytes)
        .unwrap();
    let arrived = HubCodec.decode(&mut bytes).unwrap();
    assert_eq!(arrived, Some(settle(Duration::from_millis(1))));

    for kind in [ErrorKind::Refused, ErrorKind::Closed, ErrorKind::Driver] {
        let done = HubFrame::Done(1, Err(Failure::new(kind, "no")));
        HubCodec.encode(done.clone(), &mut bytes).unwrap();
        assert_eq!(ClientCodec.decode(&mut bytes).unwrap(), Some(done));
    }
}
