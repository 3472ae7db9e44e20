//! The protocol between a process and the hub: a greeting with a version, then frames.
//!
//! A frame is its length (4 bytes, little endian, without itself), a byte for its kind, and its fields. This
//! module only converts bytes to values and back; the hub and the client decide what the values mean.
//!
//! # Versions
//!
//! A hub and its clients speak the same [`VERSION`]; otherwise the hub rejects the client with both versions in
//! the error. There is no negotiation: build all programs of one folder with the same version. Every change of
//! a frame raises the version: a new kind, a new field, another meaning. The numbers of removed kinds are not
//! used again. Only the start of a greeting (magic and version, [`Hello`]) is the same in all versions. The
//! version of the [database](crate::store) is independent of it.
//!
//! | version | change |
//! |---|---|
//! | 1 | first version |
//! | 2 | the depth of a queue; moving and removing one message by its id; a frame of its own answers a claim of a lease; a failure answers the greeting of a client that the hub has no place for |
//! | 3 | the channels that have a subscription of their own |

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

/// A text. A short one needs no allocation, a long one is cheap to clone.
pub(crate) type Text = smol_str::SmolStr;

/// The version of this build. The module's documentation has the policy and the history.
pub(crate) const VERSION: u16 = 3;

/// The period of a client's pings.
pub(crate) const PING: Duration = Duration::from_secs(5);

/// A peer that is silent for this long is considered dead, even if its process is only stopped. Both sides use
/// it: the hub misses pings, the client misses their answers.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// The maximum size of a name in bytes: a queue, a channel, a pattern, the text of an error.
pub(crate) const MAX_TEXT: usize = 64 * 1024;
