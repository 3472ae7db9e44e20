//! 10,000 mails whose consumer dies at work: none is lost, and no more are handled twice than were in flight.

use std::{
    collections::HashSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use examples::queues::MAILER;
use microagent::prelude::*;
use rustix::process::Signal;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    START, STOP,
    running::{self, Group, Launcher},
    start,
};

const MAILS: usize = 10_000;

/// EmailAgent's consumer has the default concurrency of 16, and so at most 32 messages out of the queue.
const IN_FLIGHT: usize = 32;

const DRAINED: Duration = Duration::from_secs(120);

#[test]
fn ten_thousand_mails_survive_the_death_of_their_consumer() {
    let folder = tempfile::tempdir().unwrap();
    on_broker(folder.path(), send_mails);

    let mut killed = start(Launcher::Examples, folder.path());
    let mut logged = HashSet::new();
    while logged.len() < MAILS / 3 {
        logged.extend(mail_in(&killed.next_line(START)).map(str::to_owned));
    }
    running::kill(killed.agents()["email_agent"], Signal::KILL);
    assert_ne!(killed.wait_for_end(STOP).code(), Some(0));
    assert!(
        mails_left(folder.path()) > 0,
        "it was to be killed in the middle"
    );

    // Mails that are delivered again are delivered before the queue is empty. A stop gives back what had no handler yet, so there may be more.
    let mut lives = vec![killed];
    while mails_left(folder.path()) > 0 {
        assert!(lives.len() < 5, "mails are left for ever");
        lives.push(drain(folder.path()));
    }
    assert_eq!(on_broker(folder.path(), dead_mails), 0);
    account(&lives);
}

/// Runs the group until nothing waits in the queue, and stops it.
fn drain(folder: &Path) -> Group {
    let mut group = start(Launcher::Examples, folder);
    // Before that a look would make this process the host of the folder.
    group.wait_for_line("all agents are ready", START);
    let deadline = Instant::now() + DRAINED;
    while on_broker(folder, async |broker| broker.length(MAILER).await) > 0 {
        assert!(Instant::now() < deadline, "not drained: {}", group.log());
        thread::sleep(Duration::from_millis(50));
    }
    group.signal(Signal::INT);
    let status = group.wait_for_end(STOP);
    assert_eq!(status.code(), Some(0), "{}", group.log());
    group
}

fn account(lives: &[Group]) {
    let handlings: Vec<_> = lives
        .iter()
        .flat_map(Group::lines)
        .filter_map(mail_in)
        .collect();
    let mails: HashSet<_> = handlings.iter().collect();
    assert_eq!(mails.len(), MAILS, "mails are lost");
    let twice = handlings.len() - MAILS;
    assert!(twice <= IN_FLIGHT, "{twice} mails were handled again");
}

/// Does this on the group's broker, in the test's process.
fn on_broker<T>(folder: &Path, act: impl AsyncFnOnce(Broker) -> Result<T>) -> T {
    Runtime::new().unwrap().block_on(async {
        let dsn = format!("local:{}", folder.display());
        let broker = Broker::connect(&dsn).await.unwrap();
        let done = act(broker.clone()).await.unwrap();
        broker.close().await.unwrap();
        done
    })
}

async fn send_mails(broker: Broker) -> Result<()> {
    let mut sends = JoinSet::new();
    for n in 0..MAILS {
        let mail = json!({"text": format!("mail {n}")});
        sends.spawn(broker.send(MAILER, &mail).into_future());
    }
    while let Some(sent) = sends.join_next().await {
        sent.unwrap()?;
    }
    assert_eq!(broker.length(MAILER).await?, MAILS as u64);
    Ok(())
}

/// Returns how many of this test's mails wait; the other agents send mails too.
fn mails_left(folder: &Path) -> usize {
    let waiting = on_broker(folder, async |broker| broker.peek(MAILER, 2 * MAILS).await);
    let ours = |message: &&Message| message.payload().starts_with(br#"{"text":"mail "#);
    waiting.iter().filter(ours).count()
}

async fn dead_mails(broker: Broker) -> Result<u64> {
    broker.length(Queue::named(MAILER.dead_letter())?).await
}

/// The number of the mail that a line tells of.
fn mail_in(line: &str) -> Option<&str> {
    let (_, mail) = line.split_once("Catch emailer {\"text\":\"mail ")?;
    Some(mail.split_once('"')?.0)
}
