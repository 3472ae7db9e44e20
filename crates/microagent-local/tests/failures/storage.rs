//! A disk without room, and a database that is damaged: what is refused, what goes on, and that nothing is overwritten.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
};

use futures_util::StreamExt;
use microagent_core::{BusEvent, ErrorKind, QueueBroker, Result, SignalBus, SubscriberCount};
use microagent_local::{LocalBroker, LocalBus, LocalOptions};
use microagent_testing::failure_suite::{Record, tell};
use serde_json::json;

use crate::bench::{Bench, JOBS, SOON, error_of, job, next, one_by_one, send, until, within};

microagent_testing::needs! {
    unshare {
        async fn on_a_full_disk_only_sending_fails,
    }
}

/// The failure of a test that cannot mount a disk.
const WITHOUT_SPACES: &str =
    "`unshare --mount` is missing or not allowed here; SKIP_SERVICES=\"unshare\" ignores this test";

/// Makes a small file system of the folder, for a process that then does something in it.
const SMALL_DISK: &str =
    r#"mount -t tmpfs -o size=24m tmpfs "$MICROAGENT_TEST_ADDRESS" && exec "$0" "$@""#;

/// The disk is full: sending fails and says why, what is there is handled and settled, and with room again all is as before.
async fn on_a_full_disk_only_sending_fails() {
    let bench = Bench::new();
    // As root a namespace of one's own is enough; anybody else becomes root in one.
    let spaces = [["--mount", "--mount"], ["--mount", "--map-root-user"]];
    let allowed = |space: &&[&str; 2]| {
        let mut probe = Command::new("unshare");
        let probe = probe.args(**space).args(["sh", "-c", SMALL_DISK, "true"]);
        let tried = probe
            .env("MICROAGENT_TEST_ADDRESS", bench.folder())
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let space = spaces.iter().find(allowed).expect(WITHOUT_SPACES);
    let wrapper = ["unshare", space[0], space[1], "sh", "-c", SMALL_DISK];
    let process = bench.start_in(&wrapper, "small-disk", bench.folder());
    let ended = within(3 * SOON, "the end", process.ended()).await;
    let passed = |record: &Record| record.says("passed") == 1;
    bench.journal.until("the last word", SOON, passed).await;
    assert!(ended.success());
}

/// The part of a process whose folder is a disk of 24 MiB.
pub(crate) async fn on_small_disk(options: &LocalOptions) -> Result<()> {
    let broker = LocalBroker::connect(options).await?;
    let stored = fill(&broker).await;
    signals_go_on(options).await?;
    // Something else takes the last of it, too.
    let filler = options.folder().join("filler");
    let mut file = File::create(&filler)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    settle(&broker, stored / 2).await;
    // Handled messages make room.
    until("room for a message", SOON, async || {
        send(&broker, body(1, 1)).await.is_ok()
    })
    .await;
    broker.close().await?;

    let again = LocalBroker::connect(options).await?;
    let left = again.length(&JOBS).await?;
    assert_eq!(
        left,
        stored - stored / 2 + 1,
        "nothing is lost, and nothing comes back"
    );
    settle(&again, left).await;
    drop(file);
    fs::remove_file(&filler)?;
    assert!(fill(&again).await > stored / 2, "there is space again");
    again.close().await?;
    tell("passed");
    Ok(())
}

/// Sends until there is no room, and says how many were confirmed.
async fn fill(broker: &LocalBroker) -> u64 {
    let mut confirmed = 0;
    let error = loop {
        match send(broker, body(confirmed, 97 * confirmed % 20_000)).await {
            Ok(()) => confirmed += 1,
            Err(error) => break error,
        }
        assert!(confirmed < 10_000, "the disk is smaller than that");
    };
    assert_eq!(error.kind(), ErrorKind::Driver);
    let text = error.to_string();
    assert!(text.contains("queues.sqlite: the disk is full"), "{text}");
    confirmed
}

async fn signals_go_on(options: &LocalOptions) -> Result<()> {
    let bus = LocalBus::connect(options).await?;
    let mut events = bus.subscribe("PUBSUB:tick:*").await?;
    let subscribers = bus.publish("PUBSUB:tick:a", "{}".into()).await?;
    assert_eq!(subscribers, SubscriberCount::Counted(1));
    let event = within(SOON, "a signal", events.next()).await;
    assert!(matches!(event, Some(BusEvent::Message(_))), "{event:?}");
    bus.close().await
}

/// Takes as many messages, and settles each; none of it fails.
async fn settle(broker: &LocalBroker, messages: u64) {
    let mut jobs = broker.consume(&JOBS, one_by_one()).await.unwrap();
    for _ in 0..messages {
        next(&mut jobs).await.ack().await.unwrap();
    }
}

fn body(n: u64, bytes: u64) -> String {
    json!({"n": n, "text": "x".repeat(usize::try_from(bytes).unwrap())}).to_string()
}

/// Damages a database that has messages in it, in this way; it is refused with this text and stays as it is.
async fn a_damaged_database(damage: impl FnOnce(&mut File), record: &str) {
    let bench = Bench::new();
    bench.push((0..2000).map(job)).await;
    let path = bench.folder().join("queues.sqlite");
    damage(&mut File::options().write(true).open(&path).unwrap());
    let before = files(bench.folder());

    let error = error_of(LocalBroker::connect(&bench.options()).await);
    let text = error.to_string();
    assert!(text.contains("queues.sqlite"), "{text}");
    assert!(text.contains(record), "{text}");
    let ended = within(SOON, "an end", bench.worker(1, 1).ended()).await;
    assert!(!ended.success(), "a process that starts says so at once");
    assert_eq!(files(bench.folder()), before, "it is as it was");

    // As the text says: moved away, it leaves room for a new one.
    fs::rename(&path, path.with_extension("damaged")).unwrap();
    let broker = LocalBroker::connect(&bench.options()).await.unwrap();
    send(&broker, "{}").await.unwrap();
    broker.close().await.unwrap();
    assert_eq!(bench.stored(), 1);
}

/// The files of a database and what is in them.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.to_string_lossy().contains("queues"))
        .map(|path| {
            let mut bytes = Vec::new();
            File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_database_whose_pages_are_damaged_is_refused_and_left_as_it_is() {
    let in_the_middle = |file: &mut File| {
        file.seek(SeekFrom::Start(3 * 4096)).unwrap();
        file.write_all(&[0xa5; 4 * 4096]).unwrap();
    };
    a_damaged_database(in_the_middle, "damaged; move it away").await;
}

#[tokio::test]
async fn a_database_that_is_cut_off_is_refused_and_left_as_it_is() {
    let cut = |file: &mut File| file.set_len(5 * 4096).unwrap();
    a_damaged_database(cut, "damaged; move it away").await;
}

#[tokio::test]
async fn a_database_without_its_beginning_is_refused_and_left_as_it_is() {
    let beginning = |file: &mut File| file.write_all(&[0; 4096]).unwrap();
    a_damaged_database(beginning, "not a database of MicroAgent").await;
}
