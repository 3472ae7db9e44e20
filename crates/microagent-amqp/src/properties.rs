//! The properties of a message that is sent: its id, its headers, and those that the caller sets by their names.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use microagent_core::{Error, ErrorKind, Queue, Result, SendOptions};

/// The most bytes of all headers of a message. Properties must fit one frame of 128 KiB, or RabbitMQ ends the
/// connection; the driver adds headers of its own to a dead letter.
pub(crate) const MAX_HEADERS: usize = 64 * 1024;

/// The most bytes of a short text of the protocol: a name, a routing key, a property.
const MAX_SHORT: usize = 255;

/// The delivery mode of a message that is written to disk.
pub(crate) const PERSISTENT: u8 = 2;

/// Returns the properties of a message for a queue.
///
/// # Errors
/// `InvalidName` for a name that is too long, `Unsupported` for an unknown property, `InvalidPayload` for a value of the wrong type.
pub(crate) fn properties(queue: &Queue, options: &SendOptions) -> Result<BasicProperties> {
    let id = options.id.clone().unwrap_or_else(new_id);
    let mut headers = FieldTable::default();
    for (name, value) in &options.headers {
        let text = AMQPValue::LongString(value.as_str().into());
        headers.insert(short(name, "the name of a header")?, text);
    }
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(&id, "a message id")?);
    if !headers.inner().is_empty() {
        properties = properties.with_headers(headers);
    }
    for (name, value) in &options.native {
        properties = with_native(properties, name, value)
            .map_err(|error| error.context(format!("cannot send to `{queue}`")))?;
    }
    Ok(properties)
}

/// Returns a random message id, which no other process makes with any likelihood.
fn new_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn with_native(properties: BasicProperties, name: &str, value: &str) -> Result<BasicProperties> {
    let text = || short(value, name);
    Ok(match name {
        "content_type" => properties.with_content_type(text()?),
        "content_encoding" => properties.with_content_encoding(text()?),
        "correlation_id" => properties.with_correlation_id(text()?),
        "reply_to" => properties.with_reply_to(text()?),
        "message_id" => properties.with_message_id(text()?),
        "type" => properties.with_type(text()?),
        "app_id" => properties.with_app_id(text()?),
        "user_id" => properties.with_user_id(text()?),
        "expiration" => properties.with_expiration(number::<u64>(name, value)?.to_string().into()),
        "delivery_mode" => properties.with_delivery_mode(number(name, value)?),
        "priority" => properties.with_priority(number(name, value)?),
        "timestamp" => properties.with_timestamp(number(name, value)?),
        _ => {
            let text = format!(
                "unknown property `{name}` (available: `app_id`, `content_encoding`, `content_type`, `correlation_id`, `delivery_mode`, \
                 `expiration`, `message_id`, `priority`, `reply_to`, `timestamp`, `type`, `user_id`)"
            );
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
    })
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| {
        let text =
            format!("invalid property `{name}`: expected a number in its range, not `{value}`");
        Error::new(ErrorKind::InvalidPayload, text)
    })
}

/// Returns a text of at most 255 bytes in the client's type, which panics beyond.
pub(crate) fn short(text: &str, what: &str) -> Result<ShortString> {
    if text.len() > MAX_SHORT {
        let text = format!(
            "{what} has {} bytes: expected at most {MAX_SHORT}",
            text.len()
        );
        return Err(Error::new(ErrorKind::InvalidName, text));
    }
    Ok(text.into())
}
