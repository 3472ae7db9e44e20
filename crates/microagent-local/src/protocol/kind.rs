//! The numbers of all kinds of frames and of what they contain. A number is never used for something else.

/// Frames of a client.
pub(super) mod client {
    pub(in crate::protocol) const HELLO: u8 = 1;
    pub(in crate::protocol) const PING: u8 = 2;
    pub(in crate::protocol) const REQUEST: u8 = 3;
}

/// Frames of the hub.
pub(super) mod hub {
    pub(in crate::protocol) const WELCOME: u8 = 1;
    pub(in crate::protocol) const PONG: u8 = 2;
    pub(in crate::protocol) const DONE: u8 = 3;
    pub(in crate::protocol) const FAILED: u8 = 4;
    pub(in crate::protocol) const COUNT: u8 = 5;
    pub(in crate::protocol) const EVENT: u8 = 6;
    pub(in crate::protocol) const GAP: u8 = 7;
    pub(in crate::protocol) const DELIVERY: u8 = 8;
    pub(in crate::protocol) const SHOWN: u8 = 9;
    pub(in crate::protocol) const ALL_DONE: u8 = 10;
    pub(in crate::protocol) const DEPTH: u8 = 11;
    pub(in crate::protocol) const LEASE: u8 = 12;
    pub(in crate::protocol) const CHANNELS: u8 = 13;
}

/// Requests of a client.
pub(super) mod request {
    pub(in crate::protocol) const PUBLISH: u8 = 1;
    pub(in crate::protocol) const SUBSCRIBE: u8 = 2;
    pub(in crate::protocol) const UNSUBSCRIBE: u8 = 3;
    pub(in crate::protocol) const SEND: u8 = 4;
    pub(in crate::protocol) const CONSUME: u8 = 5;
    pub(in crate::protocol) const CANCEL: u8 = 6;
    pub(in crate::protocol) const SETTLE: u8 = 7;
    pub(in crate::protocol) const LENGTH: u8 = 8;
    pub(in crate::protocol) const DECLARE: u8 = 9;
    pub(in crate::protocol) const GOODBYE: u8 = 10;
    pub(in crate::protocol) const FLUSH: u8 = 11;
    pub(in crate::protocol) const LEASE: u8 = 12;
    pub(in crate::protocol) const PEEK: u8 = 13;
    pub(in crate::protocol) const REQUEUE: u8 = 14;
    pub(in crate::protocol) const PURGE: u8 = 15;
    pub(in crate::protocol) const DEPTH: u8 = 16;
    pub(in crate::protocol) const REQUEUE_ONE: u8 = 17;
    pub(in crate::protocol) const PURGE_ONE: u8 = 18;
    pub(in crate::protocol) const CHANNELS: u8 = 19;
}

/// Settlements of a delivery.
pub(super) mod settlement {
    pub(in crate::protocol) const ACK: u8 = 1;
    pub(in crate::protocol) const RETURN: u8 = 2;
    pub(in crate::protocol) const RETRY: u8 = 3;
    pub(in crate::protocol) const DEAD_LETTER: u8 = 4;
}
