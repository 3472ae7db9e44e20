//! `queue requeue`, `release` and `purge`: move and delete messages.

use std::io::{self, IsTerminal, Write};

use microagent_core::{Broker, Queue, Selection};
use tokio::time::MissedTickBehavior;

use super::{Rate, named, with_dead};
use crate::{
    cli::BrokerArgs,
    command::{print, source},
    exit::Failure,
};

/// Moves dead letters back. Without a limit it moves as many as there are now: it would never end
/// if they failed again at once.
pub(super) async fn requeue(
    name: &str,
    from: Option<&str>,
    which: Selection,
    rate: Option<Rate>,
    args: &BrokerArgs,
) -> Result<(), Failure> {
    let broker = source::broker(args).await?;
    let (queue, dead) = with_dead(&broker, name, from)?;
    let which = match which {
        Selection::All => Selection::First(broker.length(&dead).await?),
        which => which,
    };
    let moved = match (&which, rate) {
        (Selection::First(limit), Some(rate)) => {
            requeue_slowly(&broker, (&dead, &queue), *limit, rate).await?
        }
        _ => broker.requeue(&dead, &queue, &which).await?,
    };
    found(&dead, &which, moved, "queue dead")?;
    print(&moved)?;
    Ok(broker.close().await?)
}

/// Moves one message at a time, to limit the load of the consumers.
async fn requeue_slowly(
    broker: &Broker,
    (dead, queue): (&Queue, &Queue),
    limit: u64,
    rate: Rate,
) -> Result<u64, Failure> {
    let mut ticks = tokio::time::interval(rate.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for moved in 0..limit {
        ticks.tick().await;
        if broker.requeue(dead, queue, &Selection::First(1)).await? == 0 {
            return Ok(moved);
        }
    }
    Ok(limit)
}

/// Returns an error if a message was selected by its id and does not exist. It names the command that shows the ids.
fn found(queue: &Queue, which: &Selection, count: u64, shown_by: &str) -> Result<(), Failure> {
    match which {
        Selection::Id(id) if count == 0 => Err(Failure::failed(format!(
            "no message with the id `{id}` waits in `{queue}`; `{shown_by}` shows the ids"
        ))),
        _ => Ok(()),
    }
}

pub(super) async fn release(name: &str, args: &BrokerArgs) -> Result<(), Failure> {
    let broker = source::broker(args).await?;
    let released = broker.release(&named(&broker, name)?).await?;
    print(&released)?;
    Ok(broker.close().await?)
}

pub(super) async fn purge(
    name: &str,
    yes: bool,
    which: &Selection,
    args: &BrokerArgs,
) -> Result<(), Failure> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !yes && !can_ask {
        return Err(Failure::usage(
            "missing --yes: without a terminal, purge cannot ask for confirmation",
        ));
    }
    let broker = source::broker(args).await?;
    let queue = named(&broker, name)?;
    let wanted = yes || confirm(&broker, &queue, which).await?;
    let removed = if wanted {
        Ok(broker.purge(&queue, which).await?)
    } else {
        Err(Failure::failed("not confirmed; nothing was deleted"))
    };
    broker.close().await?;
    found(&queue, which, *removed.as_ref().unwrap_or(&1), "queue peek")?;
    print(&removed?)
}

async fn confirm(broker: &Broker, queue: &Queue, which: &Selection) -> Result<bool, Failure> {
    let waiting = broker.length(queue).await?;
    let messages = match which {
        Selection::All => format!("the {waiting} waiting message(s)"),
        Selection::First(limit) => {
            format!("the first {} waiting message(s)", waiting.min(*limit))
        }
        Selection::Id(id) => format!("the waiting message `{id}`"),
    };
    let refused =
        |error: io::Error| Failure::failed(format!("cannot ask on the terminal: {error}"));
    let question = format!("delete {messages} of `{queue}` on {broker}?");
    write!(io::stderr(), "marun: {question} [y/N] ").map_err(refused)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(refused)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
