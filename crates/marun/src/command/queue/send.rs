//! `queue send`: sends one message, or one for each line of standard input.

use std::cell::Cell;

use futures_util::{StreamExt, stream};
use microagent_core::{Broker, Queue, Sending};
use microagent_schema::without_mark;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use super::named;
use crate::{
    cli::BrokerArgs,
    command::{fields, print_message, source},
    exit::Failure,
};

/// The number of messages from standard input that may be sent at the same time.
const MAX_IN_FLIGHT: usize = 256;

pub(super) async fn send(
    name: &str,
    fields: &[String],
    key: Option<&str>,
    args: &BrokerArgs,
) -> Result<(), Failure> {
    match fields {
        [dash] if dash == "-" => send_lines(name, key, args).await,
        fields => send_one(name, fields, key, args).await,
    }
}

async fn send_one(
    name: &str,
    fields: &[String],
    key: Option<&str>,
    args: &BrokerArgs,
) -> Result<(), Failure> {
    let fields = fields::parse(fields)?;
    let broker = source::broker(args).await?;
    sending(&broker, &named(&broker, name)?, &fields, key).await?;
    Ok(broker.close().await?)
}

fn sending<T: Serialize + ?Sized>(
    broker: &Broker,
    queue: &Queue,
    message: &T,
    key: Option<&str>,
) -> Sending {
    let sending = broker.send(queue, message);
    match key {
        Some(key) => sending.key(key),
        None => sending,
    }
}

/// Sends a message for each line. It ends at the first line that cannot be sent; the lines before
/// it are sent.
async fn send_lines(name: &str, key: Option<&str>, args: &BrokerArgs) -> Result<(), Failure> {
    let broker = source::broker(args).await?;
    let queue = named(&broker, name)?;
    let messages = Messages {
        lines: BufReader::new(tokio::io::stdin()).lines(),
        number: 0,
    };
    let sent = send_all(&broker, &queue, key, messages).await;
    broker.close().await?;
    sent
}

async fn send_all(
    broker: &Broker,
    queue: &Queue,
    key: Option<&str>,
    messages: Messages,
) -> Result<(), Failure> {
    let stopped = Cell::new(false);
    let messages = stream::unfold(Some(messages), async |messages| {
        if stopped.get() {
            None
        } else {
            next_message(messages?).await
        }
    });
    let sends = messages.map(|(line, message)| async move {
        let sent = match message {
            Ok(message) => {
                let sent = sending(broker, queue, &message, key).await;
                sent.map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        sent.map_err(|failure| at_line(line, failure))
    });
    let mut sends = Box::pin(sends.buffered(MAX_IN_FLIGHT));
    let (mut sent, mut failed) = (0_u64, None);
    // Messages that are being sent when another fails are counted too.
    while let Some(result) = sends.next().await {
        match result {
            Ok(()) => sent += 1,
            Err(failure) => {
                stopped.set(true);
                print_message(&failure.message);
                failed.get_or_insert(failure.code);
            }
        }
    }
    print_message(format!("sent {sent} message(s) to `{queue}`"));
    match failed {
        None => Ok(()),
        Some(code) => Err(Failure {
            code,
            message: String::new(),
        }),
    }
}

fn at_line(line: u64, failure: Failure) -> Failure {
    Failure {
        message: format!("standard input, line {line}: {}", failure.message),
        ..failure
    }
}

/// The messages on standard input.
struct Messages {
    lines: Lines<BufReader<Stdin>>,
    number: u64,
}

type Numbered = (u64, Result<Box<RawValue>, Failure>);

/// Returns the next message with its line number. After an invalid line there are no more.
async fn next_message(mut messages: Messages) -> Option<(Numbered, Option<Messages>)> {
    loop {
        messages.number += 1;
        let number = messages.number;
        match messages.lines.next_line().await {
            Ok(None) => return None,
            Ok(Some(line)) if content(number, &line).trim().is_empty() => {}
            Ok(Some(line)) => match object(content(number, &line)) {
                Ok(message) => return Some(((number, Ok(message)), Some(messages))),
                Err(failure) => return Some(((number, Err(failure)), None)),
            },
            Err(error) => {
                let failure = Failure::failed(error.to_string());
                return Some(((number, Err(failure)), None));
            }
        }
    }
}

/// Returns the line; the first one without a byte order mark, which some programs write.
fn content(number: u64, line: &str) -> &str {
    match number {
        1 => without_mark(line),
        _ => line,
    }
}

fn object(line: &str) -> Result<Box<RawValue>, Failure> {
    let json: Box<RawValue> = serde_json::from_str(line)
        .map_err(|error| Failure::usage(format!("invalid JSON: {error}")))?;
    if json.get().starts_with('{') {
        Ok(json)
    } else {
        Err(Failure::usage(
            "invalid message: expected a JSON object, `{…}`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_object_and_stays_as_it_is() {
        let object = |line| object(line).map_err(|failure| failure.message);
        assert_eq!(
            object(r#" {"b": 1.0, "a":[2]} "#).unwrap().get(),
            r#"{"b": 1.0, "a":[2]}"#
        );
        assert!(
            object("[1]")
                .unwrap_err()
                .contains("expected a JSON object")
        );
        assert!(object("{").unwrap_err().starts_with("invalid JSON: "));
    }
}
