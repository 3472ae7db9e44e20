//! The file: who may read it, what is refused, and what a full disk does.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use bytes::Bytes;
use microagent_core::{Error, ErrorKind};
use rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteStore;
use crate::store::{Body, Change, MessageId, Rewrite, Store};

fn insert(id: MessageId, size: usize) -> Change {
    let body = Body {
        payload: Bytes::from(vec![b'x'; size]),
        ..Body::default()
    };
    Change::Insert {
        id,
        queue: "q".into(),
        body,
        due: None,
    }
}

/// A folder with a database that holds enough messages for many pages.
fn filled() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&folder.path().join("db")).unwrap();
    let changes: Vec<Change> = (1..=500).map(|id| insert(id, 1000)).collect();
    store.commit(&changes).unwrap();
    folder
}

fn refused(path: &Path) -> Error {
    SqliteStore::open_within(path, Duration::ZERO).unwrap_err()
}

fn permissions(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_owner_may_read_the_messages() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&folder.path().join("db")).unwrap();
    store.commit(&[insert(1, 10)]).unwrap();
    let files = fs::read_dir(folder.path()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "the database and its log: {files:?}");
    for file in files {
        assert_eq!(permissions(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn the_log_is_synced_by_the_writer_and_before_it_is_written_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("db")).unwrap();
    let setting = |name| {
        store
            .connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
    };
    assert_eq!(setting("synchronous").unwrap(), 1.into());
    assert_eq!(setting("journal_mode").unwrap(), "wal".to_owned().into());
    store.sync().unwrap()().unwrap();
}

#[test]
fn a_file_has_one_owner_at_a_time_and_the_next_may_follow() {
    let folder = filled();
    let path = folder.path().join("db");
    let owner = SqliteStore::open(&path).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Driver);
    assert!(
        error.to_string().contains("held by another process"),
        "{error}"
    );
    drop(owner);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_newer_file_is_refused_and_left_as_it_is() {
    let folder = filled();
    let path = folder.path().join("db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    assert!(
        text.contains(path.to_str().unwrap()) && text.contains("format 99, this one knows up to 1"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_somebody_else_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE message (id INTEGER)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error
            .to_string()
            .contains("a database, but not of MicroAgent"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let text = "somebody's letter\n".repeat(300);
    fs::write(&path, &text).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().contains("not a database of MicroAgent"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&folder.path().join("none/db"));
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().contains("none/db: cannot be created"),
        "{error}"
    );
}

#[test]
fn a_damaged_file_says_so_and_what_to_do() {
    let folder = filled();
    let path = folder.path().join("db");
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    for page in pages / 2..pages {
        bytes[page * 4096..][..512].fill(0xEE);
    }
    fs::write(&path, bytes).unwrap();
    let mut store = SqliteStore::open(&path).unwrap();
    let error = store.load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Driver);
    let text = error.to_string();
    assert!(
        text.contains(path.to_str().unwrap()) && text.contains("damaged; move it away"),
        "{text}"
    );
}

#[test]
fn a_full_disk_loses_nothing_and_ends_with_free_space() {
    let folder = filled();
    let mut store = SqliteStore::open(&folder.path().join("db")).unwrap();
    // With nothing in the log the limit would hold for the file only, which has room taken ahead.
    store.commit(&[Change::Take { id: 3 }]).unwrap();
    let limit = |store: &SqliteStore, pages: u32| {
        let page_count =
            store
                .connection
                .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, u32>(0));
        page_count.unwrap()
    };
    let pages = limit(&store, 1);
    let before = store.load().unwrap();
    let error = store
        .commit(&[Change::Take { id: 1 }, insert(501, 100_000)])
        .unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(store.load().unwrap(), before);

    store.commit(&[Change::Remove { id: 2 }]).unwrap();
    limit(&store, pages + 100);
    store.commit(&[insert(501, 100_000)]).unwrap();
    assert_eq!(store.load().unwrap().messages.len(), 500);
}

#[test]
fn room_that_was_taken_ahead_does_not_disturb_a_successor() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let mut store = SqliteStore::open(&path).unwrap();
    for id in 1..=20 {
        let arrives = [insert(id, 10_000)];
        store.reserve.take_for(&store.connection, &arrives).unwrap();
        store.commit(&arrives).unwrap();
    }
    let pages: u64 = store
        .connection
        .query_row("PRAGMA page_count", [], |row| {
            row.get(0).map(i64::cast_unsigned)
        })
        .unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(length >= pages * 4096, "{length} bytes for {pages} pages");

    // The file after a power failure.
    for ending in ["", "-wal"] {
        let [from, to] = [&path, &copy].map(|path| format!("{}{ending}", path.display()));
        std::fs::copy(from, to).unwrap();
    }
    let mut successor = SqliteStore::open(&copy).unwrap();
    assert_eq!(successor.load().unwrap().messages.len(), 20);
    successor.commit(&[insert(21, 10_000)]).unwrap();
    let check: String = successor
        .connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_store_that_rests_has_written_its_log_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.commit(&[insert(1, 100_000)]).unwrap();
    let length = || fs::metadata(&path).unwrap().len();
    assert!(length() < 100_000);
    store.rest();
    assert!(length() > 100_000);
}

/// Rows that no version of this program wrote, beside one that it did.
#[test]
fn a_row_that_cannot_be_read_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut store = SqliteStore::open(&path).unwrap();
    let changes: Vec<Change> = (1..=9).map(|id| insert(id, 10)).collect();
    store.commit(&changes).unwrap();
    let garbage = "
        UPDATE message SET queue = 77 WHERE id = 1;
        UPDATE message SET attempt = -1 WHERE id = 2;
        UPDATE message SET crashes = 1 << 40 WHERE id = 3;
        UPDATE message SET id = -4 WHERE id = 4;
        UPDATE message SET id = (1 << 62) + 5 WHERE id = 5;
        UPDATE message SET headers = '{\"not\": \"a list' WHERE id = 6;
        UPDATE message SET headers = CAST(x'ff' AS TEXT) WHERE id = 7;
        INSERT INTO queue (name) VALUES (CAST(x'ff' AS TEXT));
        INSERT INTO lease VALUES ('good', 'one', 5), ('bad', CAST(x'ff' AS TEXT), 5);
        DELETE FROM arrival;";
    store.connection.execute_batch(garbage).unwrap();
    drop(store);

    let mut store = SqliteStore::open(&path).unwrap();
    let snapshot = store.load().unwrap();
    let ids: Vec<_> = snapshot.messages.iter().map(|message| message.id).collect();
    assert_eq!(ids, [6, 7, 8, 9]);
    assert_eq!((snapshot.next_id, snapshot.leases.len()), (10, 1));
    assert_eq!(snapshot.queues.len(), 1);

    let bodies = store.bodies(&[6, 7, 8, 9]).unwrap();
    let bodies: Vec<_> = bodies.iter().map(|(id, _)| *id).collect();
    assert_eq!(bodies, [8, 9], "those of unreadable headers are left out");
    // It moves with its body, and what is committed with it is committed.
    let moved = Change::Move {
        id: 6,
        to: 10,
        queue: "q".into(),
        headers: Rewrite::Add(vec![("a".into(), "b".into())]),
    };
    store.commit(&[moved, Change::Remove { id: 8 }]).unwrap();
    let bodies = store.bodies(&[8, 10]).unwrap();
    assert_eq!((bodies.len(), bodies[0].1.payload.len()), (1, 10));
    let rows: i64 = store
        .connection
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 8, "nothing was thrown away");
}
