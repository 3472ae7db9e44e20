//! `queue peek` and `queue dead`: show messages without consuming them.

use std::io::{self, IsTerminal};

use microagent_core::{Broker, Message, Queue};
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use super::{
    named,
    row::{DeadLetter, KEY, NONE, Waiting},
    with_dead,
};
use crate::{
    cli::BrowseArgs,
    columns::aligned_some,
    command::{print_message, source},
    exit::Failure,
    standard::print_line,
    terminal::shown_on,
};

/// The number of messages that a search for an id loads first.
const FIRST_LIMIT: usize = 64;

pub(super) async fn peek(name: &str, args: &BrowseArgs) -> Result<(), Failure> {
    let broker = source::broker(&args.broker).await?;
    let queue = named(&broker, name)?;
    show(&broker, &queue, args, Waiting::HEADER, Waiting::of).await?;
    Ok(broker.close().await?)
}

pub(super) async fn dead(
    name: &str,
    from: Option<&str>,
    id: Option<&str>,
    args: &BrowseArgs,
) -> Result<(), Failure> {
    let broker = source::broker(&args.broker).await?;
    let (_, dead) = with_dead(&broker, name, from)?;
    match id {
        Some(id) => show_one(&broker, &dead, id, args).await?,
        None => show(&broker, &dead, args, DeadLetter::HEADER, DeadLetter::of).await?,
    }
    Ok(broker.close().await?)
}

/// Prints one dead letter.
async fn show_one(
    broker: &Broker,
    dead: &Queue,
    id: &str,
    args: &BrowseArgs,
) -> Result<(), Failure> {
    let message = find(id, |limit| broker.peek(dead, limit)).await?;
    let Some(message) = message else {
        return Err(Failure::failed(format!(
            "no message with the id `{id}` waits in `{dead}`; `queue dead` without --id shows the ids"
        )));
    };
    write_lines(&lines(
        &[DeadLetter::of(&message)],
        args.json,
        DeadLetter::HEADER,
    )?)
}

/// Finds the message with this id. The number of loaded messages doubles until it is found, so that
/// few are loaded for one near the head.
async fn find<F>(id: &str, peek: impl Fn(usize) -> F) -> microagent_core::Result<Option<Message>>
where
    F: Future<Output = microagent_core::Result<Vec<Message>>>,
{
    let mut limit = FIRST_LIMIT;
    loop {
        let messages = peek(limit).await?;
        let count = messages.len();
        let found = messages
            .into_iter()
            .find(|message| message.id() == Some(id));
        if found.is_some() || count < limit {
            return Ok(found);
        }
        limit = limit.saturating_mul(2);
    }
}

/// Prints a row for each message, which `read` makes: as a line of JSON, or in a table with this
/// header.
async fn show<'a, R, const N: usize>(
    broker: &Broker,
    queue: &Queue,
    args: &BrowseArgs,
    header: [&str; N],
    read: impl Fn(&Message) -> R,
) -> Result<(), Failure>
where
    R: Serialize,
    [String; N]: for<'r> From<&'r R>,
{
    let messages = broker.peek(queue, args.limit as usize).await?;
    let rows: Vec<R> = messages.iter().map(read).collect();
    write_lines(&lines(&rows, args.json, header)?)?;
    print_remaining(broker, queue, messages.len() as u64).await
}

fn lines<R, const N: usize>(
    rows: &[R],
    json: bool,
    header: [&str; N],
) -> Result<Vec<String>, Failure>
where
    R: Serialize,
    [String; N]: for<'r> From<&'r R>,
{
    if json {
        return rows.iter().map(to_json).collect();
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let cells: Vec<_> = rows.iter().map(<[String; N]>::from).collect();
    // Not every driver has keys.
    let is_shown = |index| header[index] != KEY || cells.iter().any(|row| row[index] != NONE);
    let lines = aligned_some(header, &cells, is_shown).into_iter();
    // Escaped before the lines are cut, because an escaped character is longer.
    let shown = lines.map(|line| shown_on(&io::stdout(), &line).into_owned());
    Ok(fitting(shown.collect()))
}

fn to_json(row: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(row).map_err(|error| Failure::failed(error.to_string()))
}

/// Cuts the lines to the width of the terminal, if they are written to one.
fn fitting(lines: Vec<String>) -> Vec<String> {
    let size = tcgetwinsize(io::stdout()).ok();
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 || !io::stdout().is_terminal() {
        return lines;
    }
    let fit = |line: String| {
        if line.chars().count() > columns {
            line.chars().take(columns - 1).chain(['…']).collect()
        } else {
            line
        }
    };
    lines.into_iter().map(fit).collect()
}

fn write_lines(lines: &[String]) -> Result<(), Failure> {
    for line in lines {
        match print_line(line) {
            Ok(()) => {}
            // The reader, such as `head`, needs no more lines.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                return Err(Failure::failed(format!(
                    "cannot write to standard output: {error}"
                )));
            }
        }
    }
    Ok(())
}

async fn print_remaining(broker: &Broker, queue: &Queue, shown: u64) -> Result<(), Failure> {
    let total = broker.length(queue).await?;
    if shown == 0 && total == 0 {
        print_message(format!("no message waits in `{queue}`"));
    } else if shown < total {
        print_message(format!(
            "showing {shown} of {total} messages of `{queue}`; use --limit N to see more"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    async fn find_among(count: usize, id: &str) -> (Option<String>, Vec<usize>) {
        let limits = RefCell::new(Vec::new());
        let found = find(id, async |limit| {
            limits.borrow_mut().push(limit);
            let ids = (0..count.min(limit)).map(|number| number.to_string());
            Ok(ids
                .map(|id| Message::new("jobs.dead", "x").with_id(&id))
                .collect())
        });
        let id = found
            .await
            .unwrap()
            .and_then(|found| found.id().map(str::to_owned));
        (id, limits.into_inner())
    }

    #[tokio::test]
    async fn a_search_for_an_id_stops_at_the_message() {
        let many = 1_000_000;
        assert_eq!(
            find_among(many, "7").await,
            (Some("7".to_owned()), vec![64])
        );
        let id = Some("200".to_owned());
        assert_eq!(find_among(many, "200").await, (id, vec![64, 128, 256]));
        assert_eq!(find_among(0, "7").await, (None, vec![64]));
        assert_eq!(find_among(64, "x").await, (None, vec![64, 128]));
        assert_eq!(find_among(100, "x").await, (None, vec![64, 128]));
    }
}
