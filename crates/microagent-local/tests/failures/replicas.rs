//! Line 65 without a launcher, and deaths at random: three replicas and a sender on one folder, of which any hosts the hub.

use std::{
    env,
    io::Write,
    mem,
    time::{Duration, Instant},
};

use microagent_core::QueueBroker;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    bench::{Bench, DEAD, SOON, within},
    journal::Told,
    process::Process,
};

const REPLICAS: usize = 3;

/// What each of them may have in flight.
const PREFETCH: usize = 8;

/// What one sender numbers its jobs by at most.
const JOBS_OF_A_SENDER: u64 = 1_000_000;

/// How often the host is replaced.
const TIMES: usize = 10;

/// For how long processes die at random, and how long one after the other.
const DEADLY: Duration = Duration::from_secs(60);
const PAUSES_MS: std::ops::Range<u64> = 100..1500;

/// Says what the random deaths begin with, to see the same ones again.
const SEED: &str = "MICROAGENT_TEST_SEED";

/// The processes that share a folder.
struct Group {
    bench: Bench,
    replicas: Vec<Process>,
    sender: Process,
    senders: u64,
}

impl Group {
    /// All of them, at work.
    async fn start() -> Self {
        let bench = Bench::new();
        let replicas: Vec<_> = (0..REPLICAS).map(|_| replica(&bench)).collect();
        let ready = |told: &Told| told.says("works") == REPLICAS;
        bench.journal.until("the replicas", SOON, ready).await;
        let sender = bench.start("sender 0");
        Self {
            bench,
            replicas,
            sender,
            senders: 1,
        }
    }

    /// How many processes there are, the sender included.
    fn len(&self) -> usize {
        self.replicas.len() + 1
    }

    /// Starts another process in the place of this one, which is returned; the last place is the sender's.
    fn replace(&mut self, place: usize) -> Process {
        if let Some(replica_there) = self.replicas.get_mut(place) {
            return mem::replace(replica_there, replica(&self.bench));
        }
        let first = self.senders * JOBS_OF_A_SENDER;
        self.senders += 1;
        mem::replace(
            &mut self.sender,
            self.bench.start(&format!("sender {first}")),
        )
    }

    /// Where this process is.
    fn place_of(&self, id: u32) -> usize {
        let replica = self.replicas.iter().position(|replica| replica.id() == id);
        replica.unwrap_or(self.replicas.len())
    }

    /// Waits until work goes on.
    async fn works(&self) {
        let before = self.bench.journal.look(|told| told.handled.len());
        self.bench.journal.handled(before + 50, SOON).await;
    }

    /// Lets everything be handled, ends all in peace, and says how often jobs were handled once more. Everything that was
    /// confirmed was handled, or is parked as the killer that it seemed to be.
    async fn end(self) -> usize {
        self.sender.signal(Signal::TERM);
        assert!(
            within(2 * SOON, "the sender's end", self.sender.ended())
                .await
                .success()
        );
        let parked = parked(&self.bench).await;
        let through = |told: &Told| {
            told.sent
                .iter()
                .all(|n| told.handled.contains_key(n) || parked.contains(n))
        };
        self.bench
            .journal
            .until("everything that was confirmed", 2 * SOON, through)
            .await;
        for replica in self.replicas {
            replica.signal(Signal::TERM);
            assert!(
                within(2 * SOON, "a replica's end", replica.ended())
                    .await
                    .success()
            );
        }
        assert_eq!(self.bench.stored(), i64::try_from(parked.len()).unwrap());
        self.bench
            .journal
            .look(|told| told.handled.values().map(|times| *times as usize - 1).sum())
    }
}

fn replica(bench: &Bench) -> Process {
    bench.worker(4, PREFETCH)
}

/// The jobs that are dead letters.
async fn parked(bench: &Bench) -> Vec<u64> {
    let broker = bench.broker().await;
    let letters = broker.peek(&DEAD, 1000).await.unwrap();
    broker.close().await.unwrap();
    let number = |payload: &[u8]| serde_json::from_slice::<Value>(payload).unwrap()["n"].as_u64();
    letters
        .iter()
        .map(|letter| number(letter.payload()).unwrap())
        .collect()
}

/// 65. SIGTERM of whoever hosts, ten times under load: nothing is lost, and nothing is handled twice.
#[tokio::test]
async fn f65_hosts_that_are_restarted_lose_and_repeat_nothing() {
    let mut group = Group::start().await;
    for times in 1..=TIMES {
        let host = group.bench.journal.hosts(times).await;
        group.works().await;
        let place = group.place_of(host);
        let old = group.replace(place);
        old.signal(Signal::TERM);
        assert!(within(2 * SOON, "its end", old.ended()).await.success());
    }
    group.works().await;
    let journal = group.bench.journal.clone();
    assert_eq!(group.end().await, 0, "repeated");
    let (started, handled) = journal.look(|told| (told.started.len(), told.handled.len()));
    assert_eq!(started, handled, "what was begun was finished, once");
}

/// 65, with `kill -9`: nothing is lost, and only what was in flight is handled twice.
#[tokio::test]
async fn f65_hosts_that_are_killed_lose_nothing() {
    let mut group = Group::start().await;
    for times in 1..=TIMES {
        let host = group.bench.journal.hosts(times).await;
        group.works().await;
        let place = group.place_of(host);
        group.replace(place).kill();
    }
    group.works().await;
    let repeated = group.end().await;
    assert!(
        repeated <= TIMES * REPLICAS * PREFETCH,
        "{repeated} repeated"
    );
}

/// A replica or the sender is killed at random for a minute, be it the host: nothing is lost, and only what was in flight is
/// handled twice.
#[tokio::test]
async fn random_kills_for_a_minute_lose_nothing() {
    let seed = env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("random kills: {SEED}={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut group = Group::start().await;
    let (start, mut kills) = (Instant::now(), 0);
    while start.elapsed() < DEADLY {
        tokio::time::sleep(Duration::from_millis(random.u64(PAUSES_MS))).await;
        group.replace(random.usize(..group.len())).kill();
        kills += 1;
    }
    group.works().await;
    let (sent, hosts) = group
        .bench
        .journal
        .look(|told| (told.sent.len(), told.hosts.len()));
    let repeated = group.end().await;
    say(&format!(
        "random kills: {kills} kills, {hosts} hosts, {sent} jobs confirmed, {repeated} repeated"
    ));
    assert!(hosts > 1, "the host was among those who were killed");
    // Of a killed replica what it had; of a killed host what all had.
    let in_flight = (kills + hosts * REPLICAS) * PREFETCH;
    assert!(
        repeated <= in_flight,
        "{repeated} repeated, and {in_flight} were in flight"
    );
}

fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("\n{line}\n").as_bytes())
        .unwrap();
}
