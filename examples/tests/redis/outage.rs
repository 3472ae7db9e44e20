//! The server is killed while the group works, stays away, and comes back with its data.

use std::{
    collections::{BTreeSet, HashSet},
    env,
    io::Write,
    ops::Range,
    time::{Duration, Instant},
};

use microagent::ErrorKind;

use crate::{
    START, end,
    load::{Asked, Load, Sent},
    running::{Group, Launcher},
    scene::{Scene, mail_in, scene},
};

microagent_testing::needs! {
    redis {
        fn an_outage_restarts_nobody_and_loses_nothing,
    }
}

/// The duration of the outage in seconds, if 6 are not enough.
const OUTAGE: &str = "EXAMPLE_OUTAGE";
/// The longest time until mail is consumed again.
const SOON: Duration = Duration::from_secs(5);
/// The longest time until a call or a send fails: a command stays without an answer for 4 s, and waits 1 s before.
const CLEAR: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);

fn an_outage_restarts_nobody_and_loses_nothing() {
    let scene = scene();
    let mut group = Group::start(scene.group(Launcher::Examples));
    group.wait_for_line("all agents are ready", START);
    let before = group.agents();
    let mut load = Load::start(&scene);
    let mut handled = HashSet::new();
    while handled.len() < 1_000 {
        handled.extend(mail_in(&group.next_line(START)).map(str::to_owned));
    }

    scene.server.kill();
    let away = Instant::now();
    let outage = outage();
    scene
        .runtime
        .block_on(async { tokio::time::sleep(outage).await });
    let away = away..Instant::now();
    group.read_what_is_there();
    scene.runtime.block_on(scene.server.restart()).unwrap();
    let back = Instant::now();

    while mail_in(&group.next_line(SOON)).is_none() {}
    let consuming = back.elapsed();
    assert!(consuming <= SOON, "consuming after {consuming:?}");
    let mut calls = calls_until_one_is_answered(&scene, &mut load, back);
    let calling = back.elapsed();

    let (sent, late) = scene.runtime.block_on(load.stop());
    calls.extend(late);
    let refused = check_failures(&calls, &sent, &away);
    wait_for_all(&mut group, &sent);
    assert_eq!(group.agents(), before, "the same processes");
    end(&mut group, ["comment_agent", "email_agent", "user_agent"]);

    let line = format!(
        "\naway for {outage:?}: consuming after {consuming:?}, a call answered after {calling:?}; {} mails confirmed, none \
         lost, {} refused; calls failed with {refused:#?}\n",
        sent.confirmed.len(),
        sent.refused.len(),
    );
    drop(std::io::stderr().write_all(line.as_bytes()));
}

fn outage() -> Duration {
    let seconds = env::var(OUTAGE).map_or(6, |seconds| seconds.parse().expect(OUTAGE));
    Duration::from_secs(seconds)
}

/// Waits for a call that was made and answered after this.
fn calls_until_one_is_answered(scene: &Scene, load: &mut Load, after: Instant) -> Vec<Asked> {
    let mut calls: Vec<Asked> = Vec::new();
    let answered = async {
        while let Some(call) = load.calls.recv().await {
            let is_it = call.at > after && call.error.is_none();
            calls.push(call);
            if is_it {
                break;
            }
        }
    };
    let answered = async { tokio::time::timeout(6 * SOON, answered).await };
    scene
        .runtime
        .block_on(answered)
        .expect("no call is answered");
    calls
}

/// Checks that calls and sends failed soon and with a reason, and that everything failed without a server.
fn check_failures(calls: &[Asked], sent: &Sent, away: &Range<Instant>) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for asked in calls.iter().chain(&sent.refused) {
        let Some(error) = &asked.error else {
            assert!(!away.contains(&asked.at), "answered without a server");
            continue;
        };
        assert!(asked.took <= CLEAR, "after {:?}: {error}", asked.took);
        // A call that is made before the other process has subscribed again gets `NoResponders`.
        let expected = [ErrorKind::Unavailable, ErrorKind::NoResponders];
        assert!(expected.contains(&error.kind()), "{error}");
        texts.insert(error.to_string());
    }
    let without = |asked: &Asked| away.contains(&asked.at);
    assert!(calls.iter().any(without), "no calls");
    assert!(sent.refused.iter().any(without), "no mails");
    texts
}

/// Every confirmed mail is handled.
fn wait_for_all(group: &mut Group, sent: &Sent) {
    let handled = group.lines().filter_map(mail_in);
    let handled: HashSet<String> = handled.map(str::to_owned).collect();
    let confirmed = sent.confirmed.iter().cloned();
    let mut left: HashSet<String> = confirmed.filter(|mail| !handled.contains(mail)).collect();
    while !left.is_empty() {
        if let Some(mail) = mail_in(&group.next_line(PATIENCE)) {
            left.remove(mail);
        }
    }
}
