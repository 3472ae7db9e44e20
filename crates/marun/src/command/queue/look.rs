//! `queue peek` and `dead`: what a queue holds, without taking it.

use std::io::{self, IsTerminal};

use microagent_core::{Broker, Message, Queue};
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use super::{
    named,
    row::{DeadLetter, Waiting},
    with_dead,
};
use crate::{
    cli::Look,
    columns::aligned,
    command::{say, source},
    exit::Failure,
    standard::print_line,
    terminal::shown_on,
};

pub(super) async fn peek(name: &str, look: &Look) -> Result<(), Failure> {
    let broker = source::broker(&look.broker).await?;
    let queue = named(&broker, name)?;
    show(&broker, &queue, look, Waiting::HEADER, Waiting::of).await?;
    Ok(broker.close().await?)
}

pub(super) async fn dead(
    name: &str,
    from: Option<&str>,
    id: Option<&str>,
    look: &Look,
) -> Result<(), Failure> {
    let broker = source::broker(&look.broker).await?;
    let (_, dead) = with_dead(&broker, name, from)?;
    match id {
        Some(id) => show_one(&broker, &dead, id, look).await?,
        None => show(&broker, &dead, look, DeadLetter::HEADER, DeadLetter::of).await?,
    }
    Ok(broker.close().await?)
}

/// Prints one dead letter, looked for among all.
async fn show_one(broker: &Broker, dead: &Queue, id: &str, look: &Look) -> Result<(), Failure> {
    let messages = broker.peek(dead, usize::MAX).await?;
    let message = messages.iter().find(|message| message.id() == Some(id));
    let Some(message) = message else {
        return Err(Failure::failed(format!(
            "no message with the id `{id}` waits in `{dead}`"
        )));
    };
    write_lines(&lines(
        &[DeadLetter::of(message)],
        look.json,
        DeadLetter::HEADER,
    )?)
}

/// Prints what `read` finds in each message: as a line of JSON, or below the header.
async fn show<'a, R, const N: usize>(
    broker: &Broker,
    queue: &Queue,
    look: &Look,
    header: [&str; N],
    read: impl Fn(&Message) -> R,
) -> Result<(), Failure>
where
    R: Serialize,
    [String; N]: for<'r> From<&'r R>,
{
    let messages = broker.peek(queue, look.limit as usize).await?;
    let rows: Vec<R> = messages.iter().map(read).collect();
    write_lines(&lines(&rows, look.json, header)?)?;
    tell_of_the_rest(broker, queue, messages.len() as u64).await
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
    let lines = aligned(header, &cells).into_iter();
    // Before they are cut: an escaped character is longer.
    let shown = lines.map(|line| shown_on(&io::stdout(), &line).into_owned());
    Ok(fitting(shown.collect()))
}

fn to_json(row: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(row).map_err(|error| Failure::failed(error.to_string()))
}

/// On a terminal a line is a line; elsewhere whoever reads it decides.
fn fitting(lines: Vec<String>) -> Vec<String> {
    let size = tcgetwinsize(io::stdout()).ok();
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 || !io::stdout().is_terminal() {
        return lines;
    }
    let fit = |line: String| match line.chars().count() > columns {
        true => line.chars().take(columns - 1).chain(['…']).collect(),
        false => line,
    };
    lines.into_iter().map(fit).collect()
}

fn write_lines(lines: &[String]) -> Result<(), Failure> {
    for line in lines {
        match print_line(line) {
            Ok(()) => {}
            // Whoever reads has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::failed(format!("standard output: {error}"))),
        }
    }
    Ok(())
}

async fn tell_of_the_rest(broker: &Broker, queue: &Queue, shown: u64) -> Result<(), Failure> {
    let there = broker.length(queue).await?;
    if shown == 0 && there == 0 {
        say(format!("no message waits in `{queue}`"));
    } else if shown < there {
        say(format!(
            "{shown} of {there} messages of `{queue}`; --limit N shows more"
        ));
    }
    Ok(())
}
