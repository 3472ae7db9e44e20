//! Line 65 without a launcher, and faults at random: replicas and senders on one folder, of which any hosts the hub.

use std::{
    collections::BTreeSet,
    env,
    io::Write,
    mem,
    time::{Duration, Instant},
};

use microagent_core::QueueBroker;
use microagent_testing::failure_suite::{Process, Record};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    bench::{Bench, DEAD, SOON, until, within},
    process::HostLog,
    sender::{SOME_FAIL, fails},
};

const REPLICAS: usize = 3;
const SENDERS: usize = 2;

/// The prefetch of each of them.
const PREFETCH: usize = 8;

/// The maximum number of jobs of one sender.
const JOBS_OF_A_SENDER: u64 = 1_000_000;

/// The number of replacements of the host.
const TIMES: usize = 10;

/// For how many seconds processes are killed and stopped at random, unless this variable says otherwise, and how long one after
/// the other.
const CHAOS: &str = "MICROAGENT_TEST_CHAOS_SECONDS";
const CHAOS_SECONDS: u64 = 60;
const PAUSES_MS: std::ops::Range<u64> = 100..1500;

/// The time for which a process is stopped: longer than a silent process is considered alive.
const STOPPED: Duration = Duration::from_secs(22);

/// Of so many pauses one is the beginning of a stop.
const STOPS: u32 = 8;

/// Says what the random faults begin with, to see the same ones again.
const SEED: &str = "MICROAGENT_TEST_SEED";

/// The processes that share a folder.
struct Group {
    bench: Bench,
    replicas: Vec<Process>,
    senders: Vec<Process>,
    /// From this number on no sender has sent.
    next_number: u64,
}

impl Group {
    /// All of them, at work.
    async fn start(senders: usize, next_number: u64) -> Self {
        let bench = Bench::new();
        let replicas: Vec<_> = (0..REPLICAS).map(|_| replica(&bench)).collect();
        let ready = |record: &Record| record.says("works") == REPLICAS;
        bench.journal.until("the replicas", SOON, ready).await;
        let mut group = Self {
            bench,
            replicas,
            senders: Vec::new(),
            next_number,
        };
        for _ in 0..senders {
            let sender = group.sender();
            group.senders.push(sender);
        }
        group
    }

    /// Another sender, whose jobs have numbers of their own.
    fn sender(&mut self) -> Process {
        let first = self.next_number;
        self.next_number += JOBS_OF_A_SENDER;
        self.bench.start(&format!("sender {first}"))
    }

    /// The number of processes.
    fn len(&self) -> usize {
        self.replicas.len() + self.senders.len()
    }

    fn process(&mut self, place: usize) -> &mut Process {
        let replicas = self.replicas.len();
        if place < replicas {
            &mut self.replicas[place]
        } else {
            &mut self.senders[place - replicas]
        }
    }

    /// Starts another process in the place of this one, which is returned; the last places are the senders'.
    fn replace(&mut self, place: usize) -> Process {
        let next = if place < self.replicas.len() {
            replica(&self.bench)
        } else {
            self.sender()
        };
        mem::replace(self.process(place), next)
    }

    /// The index of this process, if it was not replaced.
    fn place_of(&mut self, id: u32) -> Option<usize> {
        (0..self.len()).find(|place| self.process(*place).id() == id)
    }

    /// Waits until work goes on.
    async fn works(&self) {
        let before = self.bench.journal.look(|record| record.handled.len());
        self.bench.journal.handled(before + 50, SOON).await;
    }

    /// Lets everything be handled, ends all in peace, and says what became of the jobs. Each that was confirmed was handled, or
    /// is a dead letter, once; each that fails every time is one.
    async fn end(self) -> JobCounts {
        for sender in self.senders {
            sender.signal(Signal::TERM);
            let ended = within(2 * SOON, "a sender's end", sender.ended()).await;
            assert!(ended.success());
        }
        let sent = self.bench.journal.look(|record| record.sent.clone());
        let mut parked = Vec::new();
        until(
            "all that was confirmed to be through",
            8 * SOON,
            async || {
                parked = numbers_of_parked(&self.bench).await;
                let is_parked: BTreeSet<_> = parked.iter().collect();
                self.bench.journal.look(|record| {
                    let handled = |n| record.handled.contains_key(n) && !fails(*n);
                    sent.iter().all(|n| handled(n) || is_parked.contains(n))
                })
            },
        )
        .await;
        for replica in self.replicas {
            replica.signal(Signal::TERM);
            let ended = within(2 * SOON, "a replica's end", replica.ended()).await;
            assert!(ended.success());
        }
        // A message that was sent and not confirmed may have been stored while they ended.
        let parked = numbers_of_parked(&self.bench).await;
        assert_eq!(self.bench.stored(), i64::try_from(parked.len()).unwrap());
        let once: BTreeSet<_> = parked.iter().copied().collect();
        assert_eq!(once.len(), parked.len(), "a dead letter is one once");
        self.bench.journal.look(|record| JobCounts {
            sent: sent.len(),
            failing: sent.iter().filter(|n| fails(**n)).count(),
            parked: once.len(),
            healthy_parked: once.iter().filter(|n| !fails(**n)).count(),
            repeated: record
                .handled
                .values()
                .map(|times| *times as usize - 1)
                .sum(),
        })
    }
}

/// The outcome of the jobs of a group.
struct JobCounts {
    sent: usize,
    /// Those of them that fail every time.
    failing: usize,
    parked: usize,
    /// Jobs that were in flight in three processes when these died.
    healthy_parked: usize,
    /// The number of jobs that were handled once more.
    repeated: usize,
}

fn replica(bench: &Bench) -> Process {
    bench.worker(4, PREFETCH)
}

/// The jobs that are dead letters, each as often as it is one.
async fn numbers_of_parked(bench: &Bench) -> Vec<u64> {
    let broker = bench.broker().await;
    let messages = broker.peek(&DEAD, 100_000).await.unwrap();
    broker.close().await.unwrap();
    let number = |payload: &[u8]| serde_json::from_slice::<Value>(payload).unwrap()["n"].as_u64();
    messages
        .iter()
        .map(|message| number(message.payload()).unwrap())
        .collect()
}

/// 65. SIGTERM of whoever hosts, ten times under load: nothing is lost, and nothing is handled twice.
#[tokio::test]
async fn line_65_hosts_that_are_restarted_lose_and_repeat_nothing() {
    let mut group = Group::start(1, 0).await;
    for times in 1..=TIMES {
        let host = group.bench.journal.hosts(times).await;
        group.works().await;
        let place = group.place_of(host).unwrap();
        let old = group.replace(place);
        old.signal(Signal::TERM);
        assert!(within(2 * SOON, "its end", old.ended()).await.success());
    }
    group.works().await;
    let journal = group.bench.journal.clone();
    assert_eq!(group.end().await.repeated, 0, "repeated");
    let (started, handled) = journal.look(|record| (record.started.len(), record.handled.len()));
    assert_eq!(started, handled, "what was begun was finished, once");
}

/// 65, with `kill -9`: nothing is lost, and only what was in flight is handled twice.
#[tokio::test]
async fn line_65_hosts_that_are_killed_lose_nothing() {
    let mut group = Group::start(1, 0).await;
    for times in 1..=TIMES {
        let host = group.bench.journal.hosts(times).await;
        group.works().await;
        let place = group.place_of(host).unwrap();
        group.replace(place).kill();
    }
    group.works().await;
    let repeated = group.end().await.repeated;
    assert!(
        repeated <= TIMES * REPLICAS * PREFETCH,
        "{repeated} repeated"
    );
}

/// Processes are killed and stopped at random, be it the host: nothing is lost, only what was in flight is handled twice, and a
/// job that fails every time is a dead letter, once.
#[tokio::test]
async fn random_kills_and_stops_lose_nothing() {
    let seed = env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let seconds = env::var(CHAOS).map_or(CHAOS_SECONDS, |seconds| seconds.parse().unwrap());
    say(&format!("random faults for {seconds} s: {SEED}={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut group = Group::start(SENDERS, SOME_FAIL).await;
    let (kills, stops) = chaos(&mut group, &mut random, Duration::from_secs(seconds)).await;
    group.works().await;
    let hosts = group.bench.journal.hosted().len();
    let ended = group.end().await;
    say(&format!(
        "random faults: {kills} kills, {stops} stops, {hosts} hosts, {} jobs confirmed, {} of them fail, {} dead letters, {} of \
         them healthy, {} repeated",
        ended.sent, ended.failing, ended.parked, ended.healthy_parked, ended.repeated
    ));
    assert!(hosts > 1, "the host was among those who were killed");
    assert!(stops > 0 && ended.failing > 0);
    // Of a killed or stopped replica what it had; of a killed or stopped host what all had.
    let in_flight = (kills + (hosts + stops) * REPLICAS) * PREFETCH;
    assert!(
        ended.repeated <= in_flight,
        "{} repeated, and {in_flight} were in flight",
        ended.repeated
    );
}

/// Kills and stops processes for this long; nobody is stopped afterwards. Returns how many were killed, and how many stopped.
async fn chaos(group: &mut Group, random: &mut fastrand::Rng, lasts: Duration) -> (usize, usize) {
    let (start, mut kills, mut stops) = (Instant::now(), 0, 0);
    let mut stopped: Option<(u32, Instant)> = None;
    while start.elapsed() < lasts {
        tokio::time::sleep(Duration::from_millis(random.u64(PAUSES_MS))).await;
        if let Some((id, _)) = stopped.take_if(|(_, since)| since.elapsed() >= STOPPED) {
            go_on(group, id);
        }
        let place = random.usize(..group.len());
        if stopped.is_none() && random.u32(..STOPS) == 0 {
            // Every second time the host.
            let host = group.bench.journal.hosted().last().copied();
            let chosen = host.filter(|_| stops % 2 == 1);
            let chosen = chosen.and_then(|host| group.place_of(host));
            let process = group.process(chosen.unwrap_or(place));
            process.stop();
            stopped = Some((process.id(), Instant::now()));
            stops += 1;
            continue;
        }
        group.replace(place).kill();
        kills += 1;
    }
    if let Some((id, since)) = stopped {
        tokio::time::sleep(STOPPED.saturating_sub(since.elapsed())).await;
        go_on(group, id);
    }
    (kills, stops)
}

/// Lets a stopped process go on, unless it was killed.
fn go_on(group: &mut Group, id: u32) {
    if let Some(place) = group.place_of(id) {
        group.process(place).signal(Signal::CONT);
    }
}

fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("\n{line}\n").as_bytes())
        .unwrap();
}
