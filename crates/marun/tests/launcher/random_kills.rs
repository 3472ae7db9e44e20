//! The promise that stands above the failure contract: replicas that are killed at random for a
//! minute lose nothing.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Write},
    time::{Duration, Instant},
};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    group::{Group, marun, pid_of},
    load::{done, finish, load, replicas},
};

/// The variable that repeats the kills of another run.
const SEED: &str = "MARUN_TEST_SEED";

const TIME: Duration = Duration::from_secs(60);

/// Between two kills, in milliseconds. A replica that was killed rests for a second, so that at
/// times none is there.
const PAUSES: std::ops::Range<u64> = 20..1_000;

/// The number of messages that one replica handles at the same time.
const IN_FLIGHT: usize = 8;

/// However often they are killed, they are started again, and a message that died with them by
/// chance is not put aside.
const LINES: &str = "restart = { policy = 'on_failure', max = 1_000, within = '1s' }
    handlers = { work = { concurrency = 8, prefetch = 8, max_crashes = 1_000 } }";

#[test]
fn replicas_that_are_killed_at_random_for_a_minute_lose_nothing() {
    let seed = env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("{SEED}={seed}"));
    let folder = replicas(LINES);
    let mut group = Group::run(marun(), folder.clone(), &[]);
    let living = group.wait_until_ready();
    let (load, stop) = load(&folder);
    let kills = kill_at_random(&mut group, living, &mut Rng::with_seed(seed));
    let jobs = finish(&mut group, &folder, load, stop);

    let mut done = done(&[&group]);
    let runs = done.len();
    done.dedup();
    let (lost, again) = (jobs - done.len(), runs - done.len());
    say(&format!(
        "{kills} kills in {TIME:?}: {jobs} jobs, {lost} lost, {again} done again"
    ));
    assert_eq!(done, Vec::from_iter(0..jobs), "seed {seed}");
    assert!(again <= kills * IN_FLIGHT, "seed {seed}: {again}");
    assert!(
        kills > 20,
        "seed {seed}: {kills} kills are not enough for a test"
    );
}

/// Kills one of those that live, again and again, whatever it does at that moment; how many were
/// killed.
fn kill_at_random(group: &mut Group, mut living: BTreeMap<String, Pid>, random: &mut Rng) -> usize {
    let until = Instant::now() + TIME;
    let mut kills = 0;
    while Instant::now() < until {
        let pause = Duration::from_millis(random.u64(PAUSES));
        let lines = group.read_for(pause);
        living.extend(lines.iter().filter_map(|line| started(line)));
        // Drawn in any case, so that one seed always draws the same.
        let drawn = random.usize(..);
        let Some(place) = drawn.checked_rem(living.len()) else {
            continue;
        };
        let victim = living.keys().nth(place).cloned().unwrap();
        kill_process(living.remove(&victim).unwrap(), Signal::KILL).unwrap();
        kills += 1;
    }
    kills
}

/// The name and the process of a replica that this line says is started.
fn started(line: &str) -> Option<(String, Pid)> {
    let (before, pid) = line.split_once(" started as process ")?;
    let name = before.rsplit(' ').next()?;
    Some((name.to_owned(), pid_of(pid)))
}

/// On standard error itself, which the test's harness does not swallow.
fn say(text: &str) {
    io::stderr()
        .write_all(format!("{text}\n").as_bytes())
        .unwrap();
}
