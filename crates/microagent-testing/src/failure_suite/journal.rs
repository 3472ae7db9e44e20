//! The journal of a test: what its processes say, in one order. Tests wait for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// Marks the lines that are meant for the journal.
const MARK: &str = "journal: ";

/// The number of lines of the logs that a failed wait shows.
const SHOWN: usize = 40;

/// Called in a process of a test: writes a line into the test's [`Journal`]. The test has the line before this returns, so a kill
/// afterwards loses nothing.
pub fn tell(line: &str) {
    // A test that is over no longer reads.
    let _ = std::io::stdout().write_all(format!("{MARK}{line}\n").as_bytes());
}

/// Receives what the processes of a test say and log, in one order.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    record: Mutex<Record>,
    news: Notify,
}

/// The content of a [`Journal`].
#[derive(Debug, Default)]
pub struct Record {
    /// The jobs whose send was confirmed.
    pub sent: BTreeSet<u64>,
    /// The jobs whose handling has begun, in this order.
    pub started: Vec<u64>,
    /// The number of times that each job was handled to its end.
    pub handled: BTreeMap<u64, u32>,
    /// Everything else; `suspects N` for a job of which a crash was counted.
    pub lines: Vec<String>,
    /// The logs of the processes: each line with the number of its process.
    pub log: Vec<(u32, String)>,
}

impl Record {
    /// Returns how often this was said.
    #[must_use]
    pub fn says(&self, word: &str) -> usize {
        self.lines.iter().filter(|line| *line == word).count()
    }

    /// Returns how often jobs were handled more than once.
    #[must_use]
    pub fn duplicates(&self) -> u32 {
        self.handled.values().map(|times| times - 1).sum()
    }

    /// Returns for how many deliveries a crash had been counted.
    #[must_use]
    pub fn suspects(&self) -> usize {
        let lines = self.lines.iter();
        lines.filter(|line| line.starts_with("suspects ")).count()
    }

    /// Returns true if a process has logged this.
    #[must_use]
    pub fn logs(&self, words: &str) -> bool {
        self.log.iter().any(|(_, line)| line.contains(words))
    }
}

impl Journal {
    /// Receives what a process writes.
    pub fn listen(&self, process: u32, from: impl Read + Send + 'static) {
        let journal = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                journal.receive(process, line);
            }
        });
    }

    fn receive(&self, process: u32, line: String) {
        let mut record = self.0.record.lock().unwrap();
        let number = |n: &str| n.parse::<u64>().unwrap();
        match line.strip_prefix(MARK).map(|line| line.split_once(' ')) {
            None => record.log.push((process, line)),
            Some(Some(("sent", n))) => drop(record.sent.insert(number(n))),
            Some(Some(("started", n))) => record.started.push(number(n)),
            Some(Some(("handled", n))) => *record.handled.entry(number(n)).or_default() += 1,
            Some(_) => record.lines.push(line[MARK.len()..].to_owned()),
        }
        drop(record);
        self.0.news.notify_waiters();
    }

    /// Looks at what it has received so far.
    pub fn look<T>(&self, at: impl FnOnce(&Record) -> T) -> T {
        at(&self.0.record.lock().unwrap())
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, at_most: Duration, mut is: impl FnMut(&Record) -> bool) {
        let waiting = async {
            loop {
                let news = self.0.news.notified();
                if self.look(&mut is) {
                    return;
                }
                news.await;
            }
        };
        if timeout(at_most, waiting).await.is_err() {
            self.give_up(what, at_most);
        }
    }

    fn give_up(&self, what: &str, at_most: Duration) -> ! {
        let summary = self.look(|record| {
            let log = &record.log[record.log.len().saturating_sub(SHOWN)..];
            let log: Vec<&str> = log.iter().map(|(_, line)| line.as_str()).collect();
            let (started, handled) = (record.started.len(), record.handled.len());
            format!(
                "{started} started, {handled} handled, lines {:?}, and logged:\n{}",
                record.lines,
                log.join("\n")
            )
        });
        panic!("waited {at_most:?} for {what}: {summary}");
    }

    /// Waits until the handling of this many jobs has begun.
    pub async fn started(&self, jobs: usize, at_most: Duration) {
        let what = format!("{jobs} jobs to be started");
        self.until(&what, at_most, |record| record.started.len() >= jobs)
            .await;
    }

    /// Waits until this many different jobs were handled to their end.
    pub async fn handled(&self, jobs: usize, at_most: Duration) {
        let what = format!("{jobs} jobs to be handled");
        self.until(&what, at_most, |record| record.handled.len() >= jobs)
            .await;
    }
}
