//! `queue …`: a broker by hand. What a queue holds goes to standard output.

mod browse;
mod change;
mod length;
mod rate;
mod row;
mod send;

use microagent_core::{
    Broker, DEAD_LETTER_SUFFIX, Error, ErrorKind, Queue as QueueName, Result, Selection,
};

pub(crate) use self::rate::Rate;
use super::run_to_end;
use crate::{cli::Queue, exit::Failure};

pub(crate) fn run(command: Queue) -> std::result::Result<(), Failure> {
    run_to_end(async {
        match command {
            Queue::Send {
                name,
                fields,
                broker,
            } => send::send(&name, &fields, &broker).await,
            Queue::Length { name, json, broker } => length::length(&name, json, &broker).await,
            Queue::Peek { name, browse } => browse::peek(&name, &browse).await,
            Queue::Dead {
                name,
                from,
                id,
                browse,
            } => browse::dead(&name, from.as_deref(), id.as_deref(), &browse).await,
            Queue::Requeue {
                name,
                from,
                limit,
                id,
                rate,
                broker,
            } => {
                let which = selection(limit, id);
                change::requeue(&name, from.as_deref(), which, rate, &broker).await
            }
            Queue::Release { name, broker } => change::release(&name, &broker).await,
            Queue::Purge {
                name,
                yes,
                limit,
                id,
                broker,
            } => change::purge(&name, yes, &selection(limit, id), &broker).await,
        }
    })
}

fn selection(limit: Option<u64>, id: Option<String>) -> Selection {
    match (limit, id) {
        (_, Some(id)) => Selection::Id(id),
        (Some(limit), None) => Selection::First(limit),
        (None, None) => Selection::All,
    }
}

/// A declared queue where there are declarations, or its dead letters; any other where there are none.
fn named(broker: &Broker, name: &str) -> Result<QueueName> {
    if let Some(declarations) = broker.declarations() {
        if let Some(declared) = declarations.queue(name) {
            return Ok(declared.into());
        }
        broker.queue(name.strip_suffix(DEAD_LETTER_SUFFIX).unwrap_or(name))?;
    }
    QueueName::named(name)
}

/// A queue that works, and the one where its dead letters are; `from` need not be declared.
fn with_dead(broker: &Broker, name: &str, from: Option<&str>) -> Result<(QueueName, QueueName)> {
    let refused = |text: String| Err(Error::new(ErrorKind::InvalidName, text));
    if let Some(queue) = name.strip_suffix(DEAD_LETTER_SUFFIX) {
        return refused(format!(
            "`{name}` holds the dead letters of `{queue}`: name the queue itself, `{queue}`"
        ));
    }
    if from == Some(name) {
        return refused(format!("`{name}` is not where its own dead letters are"));
    }
    let queue = named(broker, name)?;
    let dead = match from {
        Some(from) => QueueName::named(from)?,
        None => QueueName::named(queue.dead_letter())?,
    };
    Ok((queue, dead))
}
