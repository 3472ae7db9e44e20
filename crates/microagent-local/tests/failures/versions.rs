//! Programs of different versions meet in one folder: both sides say so, and nothing else happens.
//!
//! The bytes are written out here: the greeting is what no version may change.

use std::fs::File;

use microagent_core::ErrorKind;
use microagent_local::LocalBroker;
use microagent_testing::failure_suite::Record;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use crate::bench::{Bench, SOON, error_of, job, send, within};

/// The version of this build.
const OURS: u16 = 3;

/// The length of the rest, the kind of the frame, the word that every greeting begins with, the version.
fn greeting(version: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![1];
    frame.extend(b"microhub");
    frame.extend(version.to_le_bytes());
    frame.extend(rest);
    let length = u32::try_from(frame.len()).unwrap();
    [length.to_le_bytes().as_slice(), frame.as_slice()].concat()
}

/// The first bytes of a process of this version.
fn hello(version: u16) -> Vec<u8> {
    let (process, pid) = ([7; 16], std::process::id().to_le_bytes());
    greeting(version, &[process.as_slice(), &pid].concat())
}

#[tokio::test]
async fn a_program_of_another_version_learns_ours_and_the_hub_names_it() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let beside = bench.broker().await;
    for version in [OURS - 1, OURS + 1] {
        let mut peer = UnixStream::connect(bench.folder().join("hub.sock"))
            .await
            .unwrap();
        peer.write_all(&hello(version)).await.unwrap();
        let mut bytes = Vec::new();
        let end = within(SOON, "the end", peer.read_to_end(&mut bytes)).await;
        end.unwrap();
        assert_eq!(bytes, greeting(OURS, &[]), "the hub's version, and no more");
        let named =
            format!("the peer speaks version {version} of the protocol, this hub speaks {OURS}");
        let who = format!("pid={}", std::process::id());
        let logs = |record: &Record| record.logs(&named) && record.logs(&who);
        bench.journal.until("a warning", SOON, logs).await;
    }
    send(&beside, job(0).to_string()).await.unwrap();
}

#[tokio::test]
async fn a_hub_of_another_version_is_named_and_left_alone() {
    for version in [OURS - 1, OURS + 1] {
        let bench = Bench::new();
        let lock = File::create(bench.folder().join("lock")).unwrap();
        lock.try_lock().unwrap();
        let hub = UnixListener::bind(bench.folder().join("hub.sock")).unwrap();
        let serving = tokio::spawn(async move {
            let mut peers = Vec::new();
            while let Ok((mut peer, _)) = hub.accept().await {
                peer.write_all(&greeting(version, &[])).await.unwrap();
                peers.push(peer);
            }
        });
        let connected = LocalBroker::connect_apart(&bench.options()).await;
        let error = error_of(connected);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = error.to_string();
        let named = format!("version {version} of the protocol, this program speaks {OURS}");
        assert!(text.contains(&named), "{text}");

        // When the other is gone, the folder is used as ever.
        serving.abort();
        drop(lock);
        let broker = bench.broker().await;
        send(&broker, job(0).to_string()).await.unwrap();
    }
}
