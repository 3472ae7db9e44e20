//! One of several processes that consume a queue. It prints [`READY`] when it is connected, waits for a line, prints the number of
//! handled messages whenever it has changed, and ends with its standard input.

use std::{io::Write, path::Path, time::Duration};

use clap::ValueEnum;
use microagent::prelude::*;
use tokio::{task::spawn_blocking, time::interval};

use super::{
    agents::Countdown,
    local::OUTSTANDING,
    ours,
    redis::{self, RAW},
    sqlite,
};

/// The line of a process that is connected.
pub(crate) const READY: &str = "ready";

/// The time between two reports of a process.
const REPORT: Duration = Duration::from_millis(2);

/// The work of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// An agent on the broker of a DSN.
    Agent,
    /// The loop by hand on the Redis of a DSN.
    Redis,
    /// The loop by hand on the database of a folder.
    Sqlite,
}

impl Work {
    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Does the work until standard input ends.
pub(crate) async fn work(work: Work, target: &str) -> Result<()> {
    let countdown = Countdown::from(u32::MAX);
    match work {
        Work::Agent => {
            let broker = Broker::connect(target).await?;
            broker.ready().await?;
            wait_for_begin().await?;
            let agent = ours::start_consumer(&broker, &countdown).await?;
            report_until_end(&countdown).await?;
            agent.stop().await?;
            broker.close().await
        }
        Work::Redis => {
            let connection = redis::connection(target).await?;
            wait_for_begin().await?;
            let processing = format!("{RAW}:{}", std::process::id());
            let working = redis::take_all(connection, processing, countdown.clone());
            let working = tokio::spawn(working);
            report_until_end(&countdown).await?;
            working.await?
        }
        Work::Sqlite => {
            let folder = Path::new(target).to_owned();
            wait_for_begin().await?;
            let counting = countdown.clone();
            let working = spawn_blocking(move || {
                sqlite::take_all(&folder, OUTSTANDING, |count| counting.count_many(count))
            });
            report_until_end(&countdown).await?;
            working.await?.map(drop)
        }
    }
}

async fn wait_for_begin() -> Result<()> {
    print_line(READY)?;
    next_line().await
}

async fn report_until_end(countdown: &Countdown) -> Result<()> {
    let (mut ticks, mut before) = (interval(REPORT), 0);
    let mut end = Box::pin(next_line());
    loop {
        tokio::select! {
            ended = &mut end => return ended,
            _ = ticks.tick() => {
                let handled = countdown.handled();
                if handled != before {
                    print_line(&handled.to_string())?;
                    before = handled;
                }
            }
        }
    }
}

/// Waits until standard input has another line, or ends.
async fn next_line() -> Result<()> {
    let read = spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    read.await??;
    Ok(())
}

fn print_line(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_work_has_the_name_that_the_command_line_takes() {
        for work in Work::value_variants() {
            assert_eq!(Work::from_str(work.name(), false), Ok(*work));
        }
    }
}
