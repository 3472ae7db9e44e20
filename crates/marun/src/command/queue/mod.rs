//! `queue …`: sends, shows, moves and deletes messages of queues.

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
                key,
                broker,
            } => send::send(&name, &fields, key.as_deref(), &broker).await,
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

/// Returns the queue of this name. With declarations, it must be a declared queue or the dead
/// letters of one.
fn named(broker: &Broker, name: &str) -> Result<QueueName> {
    if let Some(declarations) = broker.declarations() {
        if let Some(declared) = declarations.queue(name) {
            return Ok(declared.into());
        }
        broker.queue(name.strip_suffix(DEAD_LETTER_SUFFIX).unwrap_or(name))?;
    }
    QueueName::named(name)
}

/// Returns a queue and the queue of its dead letters. `from`, if given, is the latter and need not
/// be declared.
fn with_dead(broker: &Broker, name: &str, from: Option<&str>) -> Result<(QueueName, QueueName)> {
    let refused = |text: String| Err(Error::new(ErrorKind::InvalidName, text));
    if let Some(queue) = name.strip_suffix(DEAD_LETTER_SUFFIX) {
        return refused(format!(
            "invalid queue `{name}`: expected the queue itself, `{queue}`, not the one of its dead letters"
        ));
    }
    if from == Some(name) {
        return refused(format!(
            "invalid --from `{name}`: expected another queue than the one to which messages are moved"
        ));
    }
    let queue = named(broker, name)?;
    let dead = match from {
        Some(from) => QueueName::named(from)?,
        None => QueueName::named(queue.dead_letter())?,
    };
    Ok((queue, dead))
}
