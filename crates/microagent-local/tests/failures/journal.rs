//! What the processes of a test say, in one order, to be waited for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::bench::SOON;

/// Marks the lines that are meant for the journal.
const MARK: &str = "journal: ";

/// What a hub's process logs when it can be reached.
const HOSTS: &str = "this process hosts the hub folder=";

/// How many lines of the processes' logs a failed wait shows.
const SHOWN: usize = 40;

/// Called in a process of a test: tells its journal. The line is with the test before this returns, whoever is killed then.
pub(crate) fn tell(line: &str) {
    // A test that is over does not listen any more.
    let _ = std::io::stdout().write_all(format!("{MARK}{line}\n").as_bytes());
}

/// The journal of a test.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Shared>);

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    news: Notify,
}

/// What was told so far.
#[derive(Default)]
pub(crate) struct Told {
    /// The jobs that are in the queue, as their sender was told.
    pub(crate) sent: BTreeSet<u64>,
    /// The jobs whose handling has begun, in this order.
    pub(crate) started: Vec<u64>,
    /// How often each job was handled to its end.
    pub(crate) handled: BTreeMap<u64, u32>,
    /// The processes that began to host, in this order.
    pub(crate) hosts: Vec<u32>,
    /// Everything else.
    pub(crate) said: Vec<String>,
    log: Vec<String>,
}

impl Told {
    pub(crate) fn says(&self, word: &str) -> usize {
        self.said.iter().filter(|said| *said == word).count()
    }

    /// Whether a process has logged this.
    pub(crate) fn logs(&self, words: &str) -> bool {
        self.log.iter().any(|line| line.contains(words))
    }
}

impl Journal {
    /// Takes down what comes out of a process.
    pub(crate) fn listen(&self, process: u32, from: impl Read + Send + 'static) {
        let journal = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                journal.take_down(process, line);
            }
        });
    }

    fn take_down(&self, process: u32, line: String) {
        let mut told = self.0.told.lock().unwrap();
        let number = |n: &str| n.parse::<u64>().unwrap();
        match line.strip_prefix(MARK).map(|said| said.split_once(' ')) {
            None => {
                if line.contains(HOSTS) {
                    told.hosts.push(process);
                }
                told.log.push(line);
            }
            Some(Some(("sent", n))) => drop(told.sent.insert(number(n))),
            Some(Some(("started", n))) => told.started.push(number(n)),
            Some(Some(("handled", n))) => *told.handled.entry(number(n)).or_default() += 1,
            Some(_) => told.said.push(line[MARK.len()..].to_owned()),
        }
        drop(told);
        self.0.news.notify_waiters();
    }

    /// What was told so far.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Told) -> T) -> T {
        at(&self.0.told.lock().unwrap())
    }

    /// Waits until it is so.
    pub(crate) async fn until(
        &self,
        what: &str,
        at_most: Duration,
        mut is: impl FnMut(&Told) -> bool,
    ) {
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
        let told = self.look(|told| {
            let log = &told.log[told.log.len().saturating_sub(SHOWN)..];
            let (started, handled) = (told.started.len(), told.handled.len());
            format!(
                "{started} started, {handled} handled, said {:?}, and logged:\n{}",
                told.said,
                log.join("\n")
            )
        });
        panic!("waited {at_most:?} for {what}: {told}");
    }

    /// Waits until processes have begun to host as often as this, and says which one was the last.
    pub(crate) async fn hosts(&self, times: usize) -> u32 {
        let what = format!("host number {times}");
        self.until(&what, SOON, |told| told.hosts.len() >= times)
            .await;
        self.look(|told| told.hosts[times - 1])
    }

    pub(crate) async fn started(&self, jobs: usize, at_most: Duration) {
        let what = format!("{jobs} jobs to be started");
        self.until(&what, at_most, |told| told.started.len() >= jobs)
            .await;
    }

    /// Waits until this many different jobs were handled to their end.
    pub(crate) async fn handled(&self, jobs: usize, at_most: Duration) {
        let what = format!("{jobs} jobs to be handled");
        self.until(&what, at_most, |told| told.handled.len() >= jobs)
            .await;
    }
}
