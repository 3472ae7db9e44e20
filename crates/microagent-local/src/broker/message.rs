//! Converts messages of the protocol into messages of the contract.

use std::sync::Arc;

use microagent_core::Message;

use crate::protocol::WireMessage;

/// Converts a message of the hub.
pub(crate) fn message_of(received: WireMessage, queue: Arc<str>) -> Message {
    let mut message = Message::new(queue, received.payload)
        .with_id(received.id.to_string())
        .with_attempt(received.attempt)
        .with_crashes(received.crashes);
    if let Some(at) = received.first_failure {
        message = message.with_first_failure(at);
    }
    for (name, value) in received.headers {
        message = message.with_header(name, value);
    }
    message
}
