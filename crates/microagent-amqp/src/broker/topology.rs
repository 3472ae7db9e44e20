//! Queues, exchanges and bindings: an existing one is taken as it is, a missing one is created.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Mutex,
    time::Duration,
};

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use microagent_core::{Error, ErrorKind, Queue, Result, driver::DsnError};
use tracing::warn;

use crate::{
    connection::{Up, to_the_end, within},
    error::{error_of, is_not_found, is_of_other_kind},
    properties::short,
};
use microagent_core::driver::lock;

/// The properties with which missing queues are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueKind {
    pub(crate) durable: bool,
    pub(crate) quorum: bool,
}

/// The properties with which one queue is created if it is missing.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) kind: QueueKind,
    arguments: FieldTable,
}

impl Declaration {
    /// Returns the declaration of a queue by the options of its consumer: `durable`, `queue_type` and every argument of
    /// RabbitMQ that begins with `x-`.
    ///
    /// # Errors
    /// `Unsupported` for an unknown option, `Configuration` for an invalid value.
    pub(crate) fn of(default: QueueKind, native: &BTreeMap<String, String>) -> Result<Self> {
        let (mut kind, mut arguments) = (default, FieldTable::default());
        for (name, value) in native {
            match (name.as_str(), value.as_str()) {
                ("durable", "true") => kind.durable = true,
                ("durable", "false") => (kind.durable, kind.quorum) = (false, false),
                ("durable", _) => return Err(invalid(name, value, "`true` or `false`")),
                ("queue_type", "classic") => kind.quorum = false,
                ("queue_type", "quorum") => kind.quorum = true,
                ("queue_type", _) => return Err(invalid(name, value, "`classic` or `quorum`")),
                (argument, value) if argument.starts_with("x-") => {
                    arguments.insert(short(argument, "a queue argument")?, argument_of(value));
                }
                _ => {
                    let text = format!(
                        "driver option `{name}` is not supported by `amqp` (available: `durable`, `queue_type`, `x-…`)"
                    );
                    return Err(Error::new(ErrorKind::Unsupported, text));
                }
            }
        }
        Ok(Self { kind, arguments })
    }

    /// Returns the arguments with the type of the queue.
    fn table(&self) -> FieldTable {
        let mut table = self.arguments.clone();
        if self.kind.quorum {
            table.insert("x-queue-type".into(), text("quorum"));
        }
        table
    }
}

fn invalid(name: &str, value: &str, expected: &str) -> Error {
    let error = DsnError::new(format!(
        "invalid driver option `{name}` `{value}`: expected {expected}"
    ));
    Error::new(ErrorKind::Configuration, error.to_string())
}

/// A value of a queue argument: a number or a flag if it looks like one. RabbitMQ refuses `x-max-length` as a text.
fn argument_of(value: &str) -> AMQPValue {
    if let Ok(number) = value.parse() {
        return AMQPValue::LongLongInt(number);
    }
    value
        .parse()
        .map_or_else(|_| text(value), AMQPValue::Boolean)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Returns how many messages wait in a queue; `None` if there is no such queue.
pub(super) async fn waiting(up: &Up, queue: &str) -> Result<Option<u64>> {
    let (up, queue) = (up.clone(), queue.to_owned());
    to_the_end(async move { ask_waiting(&up, &queue).await }).await
}

async fn ask_waiting(up: &Up, queue: &str) -> Result<Option<u64>> {
    let channel = up.channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let name = short(queue, "the name of a queue")?;
    match within(channel.queue_declare(name, passive, FieldTable::default())).await? {
        Ok(found) => Ok(Some(found.message_count().into())),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error_of(&error).context(format!("queue `{queue}`"))),
    }
}

/// Queues whose properties were compared: a difference is reported once.
#[derive(Debug, Default)]
pub(super) struct Compared(Mutex<HashSet<String>>);

/// Makes sure that a queue exists, with its exchange and its bindings.
pub(super) async fn declare(
    up: &Up,
    queue: &Queue,
    declaration: &Declaration,
    compared: &Compared,
) -> Result<()> {
    let (name, kind) = (queue.name(), declaration.kind);
    match create(up, name, kind.durable, declaration.table()).await {
        Ok(None) => {}
        Ok(Some(difference)) => {
            if lock(&compared.0).insert(name.to_owned()) {
                warn!(
                    queue = name,
                    difference, "the queue exists with other properties; it is used as it is"
                );
            }
        }
        // Permission to use a queue does not include permission to create it.
        Err(error) if error.kind() == ErrorKind::Refused => {
            if waiting(up, name).await?.is_none() {
                return Err(error);
            }
        }
        Err(error) => return Err(error),
    }
    match queue.exchange().filter(|exchange| !exchange.is_empty()) {
        Some(exchange) => {
            let (up, queue, durable) = (up.clone(), queue.clone(), declaration.kind.durable);
            let exchange = exchange.to_owned();
            to_the_end(async move { bind(&up, &queue, &exchange, durable).await }).await
        }
        None => Ok(()),
    }
}

/// Creates a queue. Returns the server's words if it exists with other properties.
pub(super) async fn create(
    up: &Up,
    queue: &str,
    durable: bool,
    arguments: FieldTable,
) -> Result<Option<String>> {
    let (up, queue) = (up.clone(), queue.to_owned());
    to_the_end(async move { ask_to_create(&up, &queue, durable, arguments).await }).await
}

async fn ask_to_create(
    up: &Up,
    queue: &str,
    durable: bool,
    arguments: FieldTable,
) -> Result<Option<String>> {
    let channel = up.channel().await?;
    let options = QueueDeclareOptions {
        durable,
        ..QueueDeclareOptions::default()
    };
    let name = short(queue, "the name of a queue")?;
    match within(channel.queue_declare(name, options, arguments)).await? {
        Ok(_) => Ok(None),
        Err(error) if is_of_other_kind(&error) => Ok(Some(error_of(&error).to_string())),
        Err(error) => Err(refusal(&error, queue, durable)),
    }
}

/// RabbitMQ 4.3 ends the whole connection for a queue that is not durable, unless its settings permit it.
fn refusal(error: &lapin::Error, queue: &str, durable: bool) -> Error {
    let error = error_of(error).context(format!("cannot declare queue `{queue}`"));
    if durable || error.kind() != ErrorKind::Driver {
        return error;
    }
    let text = format!(
        "{error}; RabbitMQ 4.3 and later permit `durable=false` only with `deprecated_features.permit.transient_nonexcl_queues = true`"
    );
    Error::new(ErrorKind::Refused, text)
}

async fn bind(up: &Up, queue: &Queue, exchange: &str, durable: bool) -> Result<()> {
    let topics: Vec<_> = queue.topics().collect();
    let name = short(exchange, "the name of an exchange")?;
    create_exchange(up, &name, topics.is_empty(), durable).await?;
    // Python binds to a fanout exchange with an empty key.
    let keys = if topics.is_empty() { vec![""] } else { topics };
    let channel = up.channel().await?;
    for key in keys {
        let bound = channel.queue_bind(
            short(queue.name(), "the name of a queue")?,
            name.clone(),
            short(key, "a topic")?,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        within(bound).await?.map_err(|error| {
            let what = format!("cannot bind queue `{queue}` to exchange `{exchange}`");
            error_of(&error).context(what)
        })?;
    }
    Ok(())
}

async fn create_exchange(up: &Up, name: &ShortString, fanout: bool, durable: bool) -> Result<()> {
    let kind = || {
        if fanout {
            ExchangeKind::Fanout
        } else {
            ExchangeKind::Topic
        }
    };
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let active = ExchangeDeclareOptions {
        durable,
        ..ExchangeDeclareOptions::default()
    };
    for options in [passive, active] {
        let channel = up.channel().await?;
        let declared =
            channel.exchange_declare(name.clone(), kind(), options, FieldTable::default());
        match within(declared).await? {
            Ok(()) => return Ok(()),
            Err(error) if options.passive && is_not_found(&error) => {}
            // Somebody else was faster, with other properties.
            Err(error) if is_of_other_kind(&error) => return Ok(()),
            Err(error) => {
                return Err(error_of(&error).context(format!("cannot declare exchange `{name}`")));
            }
        }
    }
    Ok(())
}

/// Ends a channel and waits until the server has put back what it had.
pub(super) async fn close(channel: lapin::Channel) {
    // The server may be gone, and the channel with it.
    let _ = within(channel.close(200, "done".into())).await;
}

/// A queue beside another one, in which messages wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Messages that come back to their queue after this many milliseconds.
    Delay { queue: String, millis: u32 },
    /// Messages whose connection ended while they were out of their queue.
    Suspects { queue: String },
    /// Dead letters, which outlive the server whatever their queue does.
    Dead { name: String },
}

impl Side {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Delay { queue, millis } => format!("{queue}.retry.{millis}"),
            Self::Suspects { queue } => format!("{queue}.suspects"),
            Self::Dead { name } => name.clone(),
        }
    }

    pub(super) fn is_durable(&self, kind: QueueKind) -> bool {
        kind.durable || matches!(self, Self::Dead { .. })
    }

    pub(super) fn arguments(&self, kind: QueueKind) -> FieldTable {
        let mut table = FieldTable::default();
        if kind.quorum {
            table.insert("x-queue-type".into(), text("quorum"));
        }
        if let Self::Delay { queue, millis } = self {
            table.insert(
                "x-message-ttl".into(),
                AMQPValue::LongLongInt((*millis).into()),
            );
            table.insert("x-dead-letter-exchange".into(), text(""));
            table.insert("x-dead-letter-routing-key".into(), text(queue));
            if kind.quorum {
                // The usual strategy of a quorum queue may lose a message on its way back.
                table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
                table.insert("x-overflow".into(), text("reject-publish"));
            }
        }
        table
    }
}

/// The longest delay that the server keeps.
const LONGEST: u32 = u32::MAX;

/// Rounds a delay up to one of 35 values per power of ten, and by at most a tenth: messages with one delay share a queue,
/// and a queue is never deleted, because its messages would go with it.
pub(super) fn rounded(delay: Duration) -> u32 {
    let millis = delay.as_nanos().div_ceil(1_000_000).max(1);
    let Ok(millis) = u32::try_from(millis) else {
        return LONGEST;
    };
    let mut scale = 1;
    while millis / scale >= 100 {
        scale *= 10;
    }
    let digits = millis.div_ceil(scale);
    let step = match digits {
        0..20 => 1,
        20..50 => 2,
        _ => 5,
    };
    (digits.div_ceil(step) * step).saturating_mul(scale)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_delays_of_the_retry_policy_are_exact() {
        for millis in [
            1, 80, 150, 1000, 2000, 4000, 9000, 16_000, 60_000, 3_600_000,
        ] {
            assert_eq!(rounded(Duration::from_millis(millis.into())), millis);
        }
        assert_eq!(rounded(Duration::from_micros(10)), 1);
        assert_eq!(rounded(Duration::MAX), u32::MAX);
    }

    #[test]
    fn options_of_a_queue_are_read_and_unknown_ones_refused() {
        let default = QueueKind {
            durable: true,
            quorum: false,
        };
        let read = |name: &str, value: &str| {
            Declaration::of(default, &[(name.to_owned(), value.to_owned())].into())
        };
        assert!(!read("durable", "false").unwrap().kind.durable);
        assert!(read("queue_type", "quorum").unwrap().kind.quorum);
        let limited = read("x-max-length", "10").unwrap().table();
        assert_eq!(limited.inner()["x-max-length"], AMQPValue::LongLongInt(10));
        let error = read("durable", "yes").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        let error = read("duration", "1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("`duration`"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn a_delay_is_never_shortened_and_lengthened_by_a_tenth_at_most(millis in 1_u32..2_000_000_000) {
            let kept = rounded(Duration::from_millis(millis.into()));
            proptest::prop_assert!(kept >= millis);
            proptest::prop_assert!(u64::from(kept) <= u64::from(millis) * 11 / 10 + 1, "{millis} {kept}");
        }
    }

    #[test]
    fn delays_share_few_queues() {
        let kept: BTreeSet<_> = (1000..10_000)
            .map(|millis| rounded(Duration::from_millis(millis)))
            .collect();
        assert!(kept.len() <= 36, "{}", kept.len());
    }
}
