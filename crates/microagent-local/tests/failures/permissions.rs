//! Access to the files of a folder, and folders of other users.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

use microagent_core::ErrorKind;
use microagent_local::{Host, LocalBroker, LocalOptions};

use crate::{
    bench::{Bench, error_of},
    process::HostLog,
};

/// Starts a program with files that everybody may read and write, unless it says otherwise.
const UMASK_000: [&str; 3] = ["sh", "-c", r#"umask 000; exec "$0" "$@""#];

fn check_private(folder: &Path) -> usize {
    let found = fs::read_dir(folder).unwrap();
    let modes = found.map(|file| {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    });
    modes.count()
}

/// With any umask, the folder and all its files belong to the owner alone; a long path has two more of them.
#[tokio::test]
async fn files_are_private_whatever_the_umask_is() {
    let bench = Bench::new();
    let long = bench.folder().join("long".repeat(30));
    for (times, folder) in [bench.folder().join("short"), long].iter().enumerate() {
        let host = bench.start_in(&UMASK_000, "host", folder);
        bench.journal.hosts(times + 1).await;
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
        // The lock, the database, its log, and the socket or the file that names it.
        assert_eq!(check_private(folder), 4);
        if let Ok(socket) = fs::read_to_string(folder.join("socket")) {
            let elsewhere = Path::new(&socket).parent().unwrap();
            assert_eq!(fs::metadata(elsewhere).unwrap().mode() & 0o777, 0o700);
            assert_eq!(check_private(elsewhere), 1);
            host.kill();
            fs::remove_dir_all(elsewhere).unwrap();
        }
    }
}

/// Files of another user are refused with both users, by those who host and by those who connect. Only root can make them.
#[tokio::test]
async fn files_of_another_user_are_refused() {
    let is_root = rustix::process::geteuid().is_root();
    for file in ["", "lock", "queues.sqlite"] {
        let bench = Bench::new();
        let options = if is_root {
            if !file.is_empty() {
                fs::write(bench.folder().join(file), "").unwrap();
            }
            chown(bench.folder().join(file), Some(4711), None).unwrap();
            bench.options()
        } else {
            // The root folder is not ours.
            LocalOptions::parse("local:/").unwrap()
        };
        let errors = [
            error_of(Host::start(&options).await),
            error_of(LocalBroker::connect(&options).await),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let text = error.to_string();
            assert!(text.contains("belongs to user "), "{file}: {text}");
        }
    }
}
