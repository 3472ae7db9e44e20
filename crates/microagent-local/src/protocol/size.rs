//! The maximum sizes of messages, chosen so that the hub can deliver everything that it accepts.
//!
//! A delivery carries more than the request to send did: counters, and later the headers of a dead letter. So a
//! frame of the hub may be larger than one of a client, and a message grows in the hub only as far as such a
//! frame allows.

use microagent_core::{DEFAULT_MAX_PAYLOAD, ErrorKind};

use super::Failure;
use crate::store::Headers;

/// The most bytes of a frame of a client: the largest payload, its headers, and the other fields.
pub(crate) const MAX_FRAME: usize = DEFAULT_MAX_PAYLOAD + 2 * MAX_HEADERS;

/// The most bytes of a frame of the hub: any message that came in a frame of a client, and what was added to it since.
pub(crate) const MAX_HUB_FRAME: usize = MAX_FRAME + MAX_HEADERS;

/// The most bytes of all headers with which a message may be sent, as they are encoded.
pub(crate) const MAX_HEADERS: usize = 1024 * 1024;

/// The most bytes of an encoded message: a frame of the hub without the fields before it.
pub(crate) const MAX_MESSAGE: usize = MAX_HUB_FRAME - 64;

/// The fixed fields of an encoded message.
const FIELDS: usize = 8 + 4 + 4 + 8 + 4 + 4;

/// Returns the encoded size of a message.
pub(crate) fn message_size(payload: usize, headers: &Headers) -> usize {
    FIELDS + payload + headers_size(headers)
}

/// Returns the encoded size of one header.
pub(crate) fn header_size((name, value): &(String, String)) -> usize {
    4 + name.len() + 4 + value.len()
}

fn headers_size(headers: &Headers) -> usize {
    headers.iter().map(header_size).sum()
}

/// Checks the size of a message. The client checks before it sends, the hub before it stores.
///
/// # Errors
/// [`PayloadTooLarge`](ErrorKind::PayloadTooLarge) with both sizes.
pub(crate) fn check_message(payload: usize, headers: &Headers) -> Result<(), Failure> {
    let refused = |text| Err(Failure::new(ErrorKind::PayloadTooLarge, text));
    if payload > DEFAULT_MAX_PAYLOAD {
        return refused(format!(
            "invalid payload of {payload} bytes: expected at most {DEFAULT_MAX_PAYLOAD}"
        ));
    }
    let headers = headers_size(headers);
    if headers > MAX_HEADERS {
        return refused(format!(
            "invalid headers of {headers} bytes (8 for each header, its name and its value): expected at most {MAX_HEADERS}"
        ));
    }
    Ok(())
}
