//! Decodes frames. Every input results in a frame or in an error that says what is wrong; decoding never
//! panics.

use std::io;

use super::{
    Browse, ClientFrame, Failure, Hello, HubFrame, QueueCounts, Request, WireMessage,
    WireSettlement,
    encode::MAGIC,
    kind::{client, hub, request, settlement},
    wire::{Fields, malformed},
};

pub(super) fn client_frame(mut fields: Fields<'_>) -> io::Result<ClientFrame> {
    let frame = match fields.u8()? {
        client::HELLO => return hello(fields),
        client::PING => ClientFrame::Ping,
        client::REQUEST => ClientFrame::Request(fields.u64()?, request(&mut fields)?),
        other => return Err(unknown("frame", other)),
    };
    fields.end()?;
    Ok(frame)
}

pub(super) fn hub_frame(mut fields: Fields<'_>) -> io::Result<HubFrame> {
    let frame = match fields.u8()? {
        hub::WELCOME => {
            magic(&mut fields)?;
            // The rest of a greeting of another version is not read.
            return Ok(HubFrame::Welcome {
                version: fields.u16()?,
            });
        }
        hub::PONG => HubFrame::Pong,
        hub::DONE => HubFrame::Done(fields.u64()?, Ok(())),
        hub::FAILED => HubFrame::Done(fields.u64()?, Err(failure(&mut fields)?)),
        hub::COUNT => HubFrame::Count(fields.u64()?, fields.u64()?),
        hub::EVENT => HubFrame::Event {
            sub: fields.u32()?,
            channel: fields.text()?,
            payload: fields.bytes()?,
        },
        hub::GAP => HubFrame::Gap {
            sub: fields.u32()?,
            count: fields.u64()?,
            lasted: fields.duration()?,
        },
        hub::DELIVERY => HubFrame::Delivery {
            consumer: fields.u32()?,
            message: wire_message(&mut fields)?,
        },
        hub::SHOWN => HubFrame::Shown {
            request: fields.u64()?,
            message: wire_message(&mut fields)?,
        },
        hub::ALL_DONE => HubFrame::AllDone(fields.u64()?, fields.u64()?),
        hub::LEASE => {
            let id = fields.u64()?;
            let (held, left) = (fields.flag()?, fields.duration()?);
            HubFrame::Lease(id, held.then_some(left))
        }
        hub::CHANNELS => HubFrame::Channels(fields.u64()?, fields.texts()?),
        hub::DEPTH => HubFrame::Depth(fields.u64()?, counts(&mut fields)?),
        other => return Err(unknown("frame", other)),
    };
    fields.end()?;
    Ok(frame)
}

fn counts(fields: &mut Fields<'_>) -> io::Result<QueueCounts> {
    Ok(QueueCounts {
        waiting: fields.u64()?,
        in_flight: fields.u64()?,
        delayed: fields.u64()?,
    })
}

fn hello(mut fields: Fields<'_>) -> io::Result<ClientFrame> {
    magic(&mut fields)?;
    let version = fields.u16()?;
    if version != super::VERSION {
        // The rest may be laid out in another way; the version alone decides what comes next.
        return Ok(ClientFrame::Hello(Hello {
            version,
            process: 0,
            pid: 0,
        }));
    }
    let hello = Hello {
        version,
        process: fields.u128()?,
        pid: fields.u32()?,
    };
    fields.end()?;
    Ok(ClientFrame::Hello(hello))
}

fn request(fields: &mut Fields<'_>) -> io::Result<Request> {
    Ok(match fields.u8()? {
        request::PUBLISH => Request::Publish {
            channel: fields.text()?,
            payload: fields.bytes()?,
        },
        request::SUBSCRIBE => Request::Subscribe {
            sub: fields.u32()?,
            pattern: fields.text()?,
        },
        request::UNSUBSCRIBE => Request::Unsubscribe { sub: fields.u32()? },
        request::CHANNELS => Request::Channels {
            head: fields.text()?,
        },
        request::SEND => {
            let queue = fields.text()?;
            let delay = Some(fields.duration()?).filter(|delay| !delay.is_zero());
            let headers = fields.headers()?;
            let payload = fields.bytes()?;
            Request::Send {
                queue,
                payload,
                headers,
                delay,
            }
        }
        request::CONSUME => Request::Consume {
            consumer: fields.u32()?,
            queue: fields.text()?,
            prefetch: fields.u32()?,
        },
        request::CANCEL => Request::Cancel {
            consumer: fields.u32()?,
            give_back: fields.flag()?,
        },
        request::SETTLE => Request::Settle {
            consumer: fields.u32()?,
            message: fields.u64()?,
            settlement: settlement(fields)?,
        },
        request::LENGTH => Request::Length {
            queue: fields.text()?,
        },
        request::DECLARE => Request::Declare {
            queue: fields.text()?,
        },
        request::GOODBYE => Request::Goodbye,
        request::FLUSH => Request::Flush,
        request::LEASE => lease(fields)?,
        request::DEPTH => Request::Depth {
            queue: fields.text()?,
        },
        kind @ (request::PEEK
        | request::REQUEUE
        | request::PURGE
        | request::REQUEUE_ONE
        | request::PURGE_ONE) => Request::Browse(browse(kind, fields)?),
        other => return Err(unknown("request", other)),
    })
}

fn lease(fields: &mut Fields<'_>) -> io::Result<Request> {
    Ok(Request::Lease {
        key: fields.text()?,
        holder: fields.text()?,
        ttl: fields.duration()?,
    })
}

fn browse(kind: u8, fields: &mut Fields<'_>) -> io::Result<Browse> {
    let name = fields.text()?;
    Ok(match kind {
        request::PEEK => Browse::Peek {
            queue: name,
            skip: fields.u32()?,
            limit: fields.u32()?,
        },
        request::REQUEUE => Browse::Requeue {
            from: name,
            to: fields.text()?,
            limit: fields.u32()?,
        },
        request::PURGE => Browse::Purge {
            queue: name,
            limit: fields.u32()?,
        },
        request::REQUEUE_ONE => Browse::RequeueOne {
            from: name,
            to: fields.text()?,
            message: fields.u64()?,
        },
        _ => Browse::PurgeOne {
            queue: name,
            message: fields.u64()?,
        },
    })
}

fn wire_message(fields: &mut Fields<'_>) -> io::Result<WireMessage> {
    Ok(WireMessage {
        id: fields.u64()?,
        attempt: fields.u32()?,
        crashes: fields.u32()?,
        first_failure: fields.instant()?,
        headers: fields.headers()?,
        payload: fields.bytes()?,
    })
}

fn settlement(fields: &mut Fields<'_>) -> io::Result<WireSettlement> {
    Ok(match fields.u8()? {
        settlement::ACK => WireSettlement::Ack,
        settlement::RETURN => WireSettlement::Return,
        settlement::RETRY => WireSettlement::Retry {
            after: fields.duration()?,
        },
        settlement::DEAD_LETTER => WireSettlement::DeadLetter {
            queue: fields.text()?,
            headers: fields.headers()?,
        },
        other => return Err(unknown("settlement", other)),
    })
}

fn failure(fields: &mut Fields<'_>) -> io::Result<Failure> {
    let kind = Failure::kind_of(fields.u8()?);
    Ok(Failure::new(kind, fields.text()?.to_string()))
}

fn magic(fields: &mut Fields<'_>) -> io::Result<()> {
    for expected in MAGIC {
        if fields.u8()? != *expected {
            return Err(malformed("the peer does not speak this protocol"));
        }
    }
    Ok(())
}

fn unknown(what: &str, number: u8) -> io::Error {
    malformed(format!("unknown kind of {what} {number}"))
}
