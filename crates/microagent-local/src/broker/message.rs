//! Converts messages of the protocol into messages of the contract.

use std::sync::Arc;

use microagent_core::Message;

use crate::protocol::Letter;

/// The message that a letter holds.
pub(crate) fn message_of(letter: Letter, queue: Arc<str>) -> Message {
    let mut message = Message::new(queue, letter.payload)
        .with_id(letter.message.to_string())
        .with_attempt(letter.attempt)
        .with_crashes(letter.crashes);
    if let Some(at) = letter.first_failure {
        message = message.with_first_failure(at);
    }
    for (name, value) in letter.headers {
        message = message.with_header(name, value);
    }
    message
}
