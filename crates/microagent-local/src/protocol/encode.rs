//! Encodes frames.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{
    Browse, ClientFrame, Failure, Hello, HubFrame, QueueCounts, Request, RequestId, WireMessage,
    WireSettlement,
    kind::{client, hub, request, settlement},
    wire::{put_bytes, put_duration, put_headers, put_instant, put_texts},
};

/// The first bytes of a greeting, in both directions.
pub(super) const MAGIC: &[u8; 8] = b"microhub";

pub(super) fn client_frame(out: &mut BytesMut, frame: &ClientFrame) {
    match frame {
        ClientFrame::Hello(hello) => put_hello(out, hello),
        ClientFrame::Ping => out.put_u8(client::PING),
        ClientFrame::Request(id, request) => {
            out.put_u8(client::REQUEST);
            out.put_u64_le(*id);
            put_request(out, request);
        }
    }
}

pub(super) fn hub_frame(out: &mut BytesMut, frame: &HubFrame) {
    match frame {
        HubFrame::Welcome { version } => {
            out.put_u8(hub::WELCOME);
            out.put_slice(MAGIC);
            out.put_u16_le(*version);
        }
        HubFrame::Pong => out.put_u8(hub::PONG),
        HubFrame::Done(id, result) => put_done(out, *id, result.as_ref().err()),
        HubFrame::AllDone(first, last) => {
            out.put_u8(hub::ALL_DONE);
            out.put_u64_le(*first);
            out.put_u64_le(*last);
        }
        HubFrame::Count(id, count) => {
            out.put_u8(hub::COUNT);
            out.put_u64_le(*id);
            out.put_u64_le(*count);
        }
        HubFrame::Depth(id, counts) => put_depth(out, *id, *counts),
        HubFrame::Channels(id, channels) => {
            out.put_u8(hub::CHANNELS);
            out.put_u64_le(*id);
            put_texts(out, channels);
        }
        HubFrame::Lease(id, left) => {
            out.put_u8(hub::LEASE);
            out.put_u64_le(*id);
            out.put_u8(u8::from(left.is_some()));
            put_duration(out, left.unwrap_or_default());
        }
        HubFrame::Event {
            sub,
            channel,
            payload,
        } => {
            out.put_u8(hub::EVENT);
            out.put_u32_le(*sub);
            put_bytes(out, channel.as_bytes());
            put_bytes(out, payload);
        }
        HubFrame::Gap { sub, count, lasted } => {
            out.put_u8(hub::GAP);
            out.put_u32_le(*sub);
            out.put_u64_le(*count);
            put_duration(out, *lasted);
        }
        HubFrame::Delivery { consumer, message } => {
            out.put_u8(hub::DELIVERY);
            out.put_u32_le(*consumer);
            put_message(out, message);
        }
        HubFrame::Shown { request, message } => {
            out.put_u8(hub::SHOWN);
            out.put_u64_le(*request);
            put_message(out, message);
        }
    }
}

fn put_depth(out: &mut BytesMut, id: RequestId, counts: QueueCounts) {
    out.put_u8(hub::DEPTH);
    out.put_u64_le(id);
    out.put_u64_le(counts.waiting);
    out.put_u64_le(counts.in_flight);
    out.put_u64_le(counts.delayed);
}

fn put_message(out: &mut BytesMut, message: &WireMessage) {
    out.put_u64_le(message.id);
    out.put_u32_le(message.attempt);
    out.put_u32_le(message.crashes);
    put_instant(out, message.first_failure);
    put_headers(out, &message.headers);
    put_bytes(out, &message.payload);
}

fn put_hello(out: &mut BytesMut, hello: &Hello) {
    out.put_u8(client::HELLO);
    out.put_slice(MAGIC);
    out.put_u16_le(hello.version);
    out.put_u128_le(hello.process);
    out.put_u32_le(hello.pid);
}

fn put_request(out: &mut BytesMut, request: &Request) {
    match request {
        Request::Publish { channel, payload } => {
            out.put_u8(request::PUBLISH);
            put_bytes(out, channel.as_bytes());
            put_bytes(out, payload);
        }
        Request::Subscribe { sub, pattern } => {
            put_numbered(out, request::SUBSCRIBE, *sub);
            put_bytes(out, pattern.as_bytes());
        }
        Request::Unsubscribe { sub } => put_numbered(out, request::UNSUBSCRIBE, *sub),
        Request::Channels { head } => put_named(out, request::CHANNELS, head),
        Request::Send {
            queue,
            payload,
            headers,
            delay,
        } => {
            out.put_u8(request::SEND);
            put_bytes(out, queue.as_bytes());
            put_duration(out, delay.unwrap_or_default());
            put_headers(out, headers);
            put_bytes(out, payload);
        }
        Request::Consume {
            consumer,
            queue,
            prefetch,
        } => {
            put_numbered(out, request::CONSUME, *consumer);
            put_bytes(out, queue.as_bytes());
            out.put_u32_le(*prefetch);
        }
        Request::Cancel {
            consumer,
            give_back,
        } => {
            put_numbered(out, request::CANCEL, *consumer);
            out.put_u8(u8::from(*give_back));
        }
        Request::Settle {
            consumer,
            message,
            settlement,
        } => {
            out.put_u8(request::SETTLE);
            out.put_u32_le(*consumer);
            out.put_u64_le(*message);
            put_settlement(out, settlement);
        }
        Request::Length { queue } => put_named(out, request::LENGTH, queue),
        Request::Declare { queue } => put_named(out, request::DECLARE, queue),
        Request::Lease { key, holder, ttl } => put_lease(out, key, holder, *ttl),
        Request::Browse(browse) => put_browse(out, browse),
        Request::Goodbye => out.put_u8(request::GOODBYE),
        Request::Flush => out.put_u8(request::FLUSH),
        Request::Depth { queue } => put_named(out, request::DEPTH, queue),
    }
}

fn put_named(out: &mut BytesMut, kind: u8, name: &str) {
    out.put_u8(kind);
    put_bytes(out, name.as_bytes());
}

fn put_numbered(out: &mut BytesMut, kind: u8, number: u32) {
    out.put_u8(kind);
    out.put_u32_le(number);
}

fn put_lease(out: &mut BytesMut, key: &str, holder: &str, ttl: Duration) {
    put_named(out, request::LEASE, key);
    put_bytes(out, holder.as_bytes());
    put_duration(out, ttl);
}

fn put_browse(out: &mut BytesMut, browse: &Browse) {
    match browse {
        Browse::Peek { queue, skip, limit } => {
            put_named(out, request::PEEK, queue);
            out.put_u32_le(*skip);
            out.put_u32_le(*limit);
        }
        Browse::Requeue { from, to, limit } => {
            put_named(out, request::REQUEUE, from);
            put_bytes(out, to.as_bytes());
            out.put_u32_le(*limit);
        }
        Browse::Purge { queue, limit } => {
            put_named(out, request::PURGE, queue);
            out.put_u32_le(*limit);
        }
        Browse::RequeueOne { from, to, message } => {
            put_named(out, request::REQUEUE_ONE, from);
            put_bytes(out, to.as_bytes());
            out.put_u64_le(*message);
        }
        Browse::PurgeOne { queue, message } => {
            put_named(out, request::PURGE_ONE, queue);
            out.put_u64_le(*message);
        }
    }
}

fn put_settlement(out: &mut BytesMut, settlement: &WireSettlement) {
    match settlement {
        WireSettlement::Ack => out.put_u8(settlement::ACK),
        WireSettlement::Return => out.put_u8(settlement::RETURN),
        WireSettlement::Retry { after } => {
            out.put_u8(settlement::RETRY);
            put_duration(out, *after);
        }
        WireSettlement::DeadLetter { queue, headers } => {
            out.put_u8(settlement::DEAD_LETTER);
            put_bytes(out, queue.as_bytes());
            put_headers(out, headers);
        }
    }
}

fn put_done(out: &mut BytesMut, id: u64, failure: Option<&Failure>) {
    out.put_u8(if failure.is_some() {
        hub::FAILED
    } else {
        hub::DONE
    });
    out.put_u64_le(id);
    if let Some(failure) = failure {
        out.put_u8(failure.code());
        put_bytes(out, shortened(&failure.text).as_bytes());
    }
}

/// As much of a text as a peer accepts.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(super::MAX_TEXT)]
}
