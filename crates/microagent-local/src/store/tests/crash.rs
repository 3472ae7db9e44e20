//! `kill -9` in the middle of commits: what was confirmed is there afterwards, and what was removed does not return.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::runtime::Runtime;

use super::*;
use crate::store::Writer;

const DATABASE: &str = "MICROAGENT_TEST_DATABASE";

#[test]
fn a_killed_process_loses_nothing_that_was_confirmed() {
    if let Some(database) = env::var_os(DATABASE) {
        return Runtime::new()
            .unwrap()
            .block_on(write_until_killed(database.as_ref()));
    }
    let folder = Folder::new();
    let (mut stored, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=4 {
        for line in lines_until_killed(&folder, round * 500) {
            match line.split_once(' ') {
                Some(("stored", id)) => stored.insert(id.parse::<MessageId>().unwrap()),
                Some(("removed", id)) => removed.insert(id.parse().unwrap()),
                _ => false,
            };
        }
        let mut store = folder.open();
        let found: BTreeSet<_> = ids(&mut store).into_iter().collect();
        let lost: Vec<_> = stored
            .difference(&removed)
            .filter(|id| !found.contains(id))
            .collect();
        // A removal that was not confirmed may have happened: the child removes id 3, 6, 9, ...
        assert!(
            lost.iter().all(|id| *id % 3 == 0),
            "round {round} lost {lost:?}"
        );
        assert!(lost.len() <= OUTSTANDING, "round {round} lost {lost:?}");
        let returned: Vec<_> = removed.intersection(&found).collect();
        assert!(returned.is_empty(), "round {round}: {returned:?} returned");
        assert!(
            found.len() >= round * 200,
            "round {round} stored {}",
            found.len()
        );
        let bodies = store
            .bodies(&found.iter().copied().collect::<Vec<_>>())
            .unwrap();
        assert!(
            bodies
                .iter()
                .all(|(id, read)| *read == body(&id.to_string()))
        );
        stored.retain(|id| found.contains(id));
    }
}

/// Kills the child after this many lines, while it continues, and returns what it confirmed before.
fn lines_until_killed(folder: &Folder, enough: usize) -> Vec<String> {
    let mut child = spawn(folder);
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    for line in output.lines().map(Result::unwrap) {
        if line.is_empty() {
            continue;
        }
        lines.push(line);
        if lines.len() == enough {
            child.kill().unwrap();
        }
    }
    assert!(
        !child.wait().unwrap().success(),
        "it was killed, not finished"
    );
    assert!(lines.len() >= enough, "{lines:?}");
    lines
}

fn spawn(folder: &Folder) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "store::tests::crash::a_killed_process_loses_nothing_that_was_confirmed",
            "--nocapture",
        ])
        .env(DATABASE, folder.database())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

const OUTSTANDING: usize = 64;

/// The process that the test starts and kills, which is the test once more: it inserts indefinitely with many
/// batches outstanding, removes every third message when it is stored, and prints what was confirmed.
async fn write_until_killed(database: &Path) {
    let mut store = SqliteStore::open(database).unwrap();
    let mut next = store.load().unwrap().next_id;
    let writer = Writer::spawn(store).unwrap();
    let confirmed = |word: &'static str, id: MessageId, change| {
        let done = writer.commit(vec![change]);
        async move { (done.await, word, id) }
    };
    let mut outstanding = FuturesUnordered::new();
    loop {
        while outstanding.len() < OUTSTANDING {
            outstanding.push(confirmed("stored", next, insert(next, "q")));
            next += 1;
        }
        let Some((Ok(()), word, id)) = outstanding.next().await else {
            panic!("a commit failed");
        };
        // One write, so that the kill cannot cut a line; the line before is the test harness's own.
        let line = format!("\n{word} {id}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        if word == "stored" && id % 3 == 0 {
            outstanding.push(confirmed("removed", id, Change::Remove { id }));
        }
    }
}
