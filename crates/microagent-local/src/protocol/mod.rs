//! What travels between a process and the hub: a greeting with a version, then frames.
//!
//! A frame is its length (4 bytes, little endian, without itself), a byte for its kind, and its fields. Everything here is
//! bytes to values and back; what the values mean is decided by the hub and the client.
//!
//! # Versions
//!
//! A hub and its clients speak the same [`VERSION`], or the hub refuses the client with both versions in the error. There is no
//! negotiation: all programs of one folder are built with the same version. Every change of a frame raises the version: a new kind, a new field, another meaning. The numbers of removed kinds are
//! not used again. Only the start of a greeting (magic and version, [`Hello`]) is the same in all versions. The version of the
//! [database](crate::store) is independent of it.
//!
//! | version | change |
//! |---|---|
//! | 1 | first version |
//! | 2 | the depth of a queue; moving and removing one message by its id; a frame of its own answers a claim of a lease |

mod codec;
mod decode;
mod encode;
mod failure;
mod frame;
mod kind;
mod send_buffer;
mod size;
mod wire;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use codec::{ClientCodec, GreetingCodec, HubCodec};
pub(crate) use failure::Failure;
pub(crate) use frame::{
    Browse, ClientFrame, Hello, HubFrame, LocalId, QueueCounts, Request, RequestId, Token,
    WireMessage, WireSettlement,
};
pub(crate) use send_buffer::SendBuffer;
pub(crate) use size::{MAX_FRAME, MAX_HEADERS, MAX_HUB_FRAME};
pub(crate) use size::{MAX_MESSAGE, check_message, header_size, message_size};

/// A short text: kept in place where it fits, cheap to clone where it does not.
pub(crate) type Text = smol_str::SmolStr;

/// The version that this build speaks. The module's documentation has the policy and the history.
pub(crate) const VERSION: u16 = 2;

/// How often a client says that it lives.
pub(crate) const PING: Duration = Duration::from_secs(5);

/// A peer that was silent for so long is dead, a stopped process included. Both sides judge by it: the hub misses pings,
/// the client their answers.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// The most bytes of a word: a queue, a channel, a pattern, the text of an error.
pub(crate) const MAX_TEXT: usize = 64 * 1024;
