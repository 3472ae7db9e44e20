//! `queue requeue` and `purge`: what becomes of messages that nobody should handle as they are.

use std::io::{self, IsTerminal, Write};

use microagent_core::{Broker, Queue};

use super::{named, with_dead};
use crate::{
    cli::BrokerArgs,
    command::{print, source},
    exit::Failure,
};

/// Without a limit it moves as many as there are at first: those that die again meanwhile would make it endless.
pub(super) async fn requeue(
    name: &str,
    from: Option<&str>,
    limit: Option<u64>,
    args: &BrokerArgs,
) -> Result<(), Failure> {
    let broker = source::broker(args).await?;
    let (queue, dead) = with_dead(&broker, name, from)?;
    let limit = match limit {
        Some(limit) => limit,
        None => broker.length(&dead).await?,
    };
    let moved = broker.requeue(&dead, &queue, limit).await?;
    print(&moved)?;
    Ok(broker.close().await?)
}

pub(super) async fn purge(name: &str, yes: bool, args: &BrokerArgs) -> Result<(), Failure> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !yes && !can_ask {
        return Err(Failure::usage(
            "purge removes messages for ever; where it cannot ask, `--yes` is needed",
        ));
    }
    let broker = source::broker(args).await?;
    let queue = named(&broker, name)?;
    let wanted = yes || ask(&broker, &queue).await?;
    let removed = match wanted {
        true => Ok(broker.purge(&queue).await?),
        false => Err(Failure::failed("nothing was removed")),
    };
    broker.close().await?;
    print(&removed?)
}

async fn ask(broker: &Broker, queue: &Queue) -> Result<bool, Failure> {
    let waiting = broker.length(queue).await?;
    let refused = |error: io::Error| Failure::failed(format!("the terminal: {error}"));
    let question = format!("remove the {waiting} message(s) that wait in `{queue}` on {broker}?");
    write!(io::stderr(), "marun: {question} [y/N] ").map_err(refused)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(refused)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
