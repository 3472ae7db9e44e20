//! EmailAgent dies by `kill -9` again and again while it drains what Python has sent.

use std::{
    collections::HashSet,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use examples::queues;
use rustix::process::Signal;

use crate::{
    end,
    python::python,
    running::{self, Group},
    scene::{Scene, mail_in, scene},
};

microagent_testing::needs! {
    redis + python {
        fn five_deaths_lose_nothing_and_repeat_no_more_than_was_in_flight,
    }
}

const MAILS: usize = 10_000;
const KILLS: usize = 5;
/// The number of mails in the log until EmailAgent is killed once more: the backlog must last for all of its lives.
const EACH: usize = 300;
/// EmailAgent's consumer has the default concurrency of 16, and so at most 32 messages out of the queue.
const PREFETCH: usize = 32;
/// The pauses between the restarts are up to 16 s, and what was in flight at a death is another's after a lease of 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

fn five_deaths_lose_nothing_and_repeat_no_more_than_was_in_flight() {
    let scene = scene();
    let python = python();
    push(&scene, &python.join("python"));
    let section = "backend = \"EmailAgent\"\nbroker = \"main\"\nrestart = { policy = \"on_failure\", max = 10 }";
    let mut group = scene.start(&scene.settings_with("email_agent", section));

    let mut in_flight = 0;
    for _ in 0..KILLS {
        read_mails(&mut group, EACH);
        in_flight += kill(&scene, &mut group);
    }
    scene.wait_until_drained(PATIENCE);
    end(&mut group, ["comment_agent", "email_agent", "user_agent"]);
    account(&scene, &group, in_flight);
}

fn push(scene: &Scene, python: &Path) {
    let here = env!("CARGO_MANIFEST_DIR");
    let pushed = Command::new(python)
        .arg(format!("{here}/tests/redis/push.py"))
        .arg(scene.server.dsn())
        .arg(format!("{here}/signals.json"))
        .arg(MAILS.to_string())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&pushed.stderr);
    assert!(pushed.status.success(), "{stderr}");
    assert_eq!(scene.waiting(queues::MAILER.name()), MAILS);
}

/// Kills EmailAgent at work, and tells how many messages it had in flight.
fn kill(scene: &Scene, group: &mut Group) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let email_agent = loop {
        // The mails that were read may be those of the life before.
        let living = group.agents().get("email_agent").copied();
        if let Some(process) = living.filter(|process| scene.taken_by(*process) > 0) {
            break process;
        }
        group.next_line(deadline.saturating_duration_since(Instant::now()));
    };
    running::kill(email_agent, Signal::KILL);
    running::assert_gone([email_agent], Duration::from_secs(5));
    let waiting = scene.waiting(queues::MAILER.name());
    assert!(waiting > 0, "it was to be killed in the middle");
    let in_flight = scene.taken_by(email_agent);
    assert!(in_flight <= PREFETCH, "{in_flight} were in flight");
    in_flight
}

/// Reads the log until it has told of so many more mails.
fn read_mails(group: &mut Group, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..count {
        while mail_in(&group.next_line(deadline.saturating_duration_since(Instant::now())))
            .is_none()
        {}
    }
}

fn account(scene: &Scene, group: &Group, in_flight: usize) {
    let handlings: Vec<_> = group.lines().filter_map(mail_in).collect();
    let handled: HashSet<_> = handlings.iter().copied().map(str::to_owned).collect();
    let parked: HashSet<_> = scene.dead().into_iter().collect();
    let lost = (0..MAILS)
        .map(|n| format!("mail {n}"))
        .filter(|mail| !handled.contains(mail) && !parked.contains(mail));
    assert_eq!(lost.collect::<Vec<_>>(), [""; 0], "lost");
    let twice = handlings.len() - handled.len();
    let line = format!(
        "\n{KILLS} deaths with {in_flight} in flight: {} handled, {} parked, {twice} twice\n",
        handled.len(),
        parked.len()
    );
    drop(std::io::stderr().write_all(line.as_bytes()));
    assert!(
        twice <= in_flight,
        "{twice} were handled twice, and {in_flight} were in flight"
    );
}
