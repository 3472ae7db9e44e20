//! Every script with every one of its keys holding what it must not: it names the key, and has changed nothing by then.

use std::collections::BTreeMap;

use microagent_testing::RedisServer;
use redis::{AsyncCommands, RedisResult, aio::MultiplexedConnection};

use super::*;

/// The types of the keys, by the ends of their names.
const TYPES: [(&str, &str); 14] = [
    ("jobs", "list"),
    ("inbox", "list"),
    ("inbox:me", "list"),
    ("jobs.dead", "list"),
    ("taken:me", "hash"),
    ("ids", "string"),
    ("due", "zset"),
    ("later", "hash"),
    ("meta", "hash"),
    ("leases", "zset"),
    ("suspects", "zset"),
    ("why", "hash"),
    ("bad", "hash"),
    ("lease", "string"),
];

struct Case {
    name: &'static str,
    script: &'static LazyLock<Script>,
    keys: &'static [&'static str],
    arguments: &'static [&'static str],
}

impl Case {
    const fn new(
        name: &'static str,
        script: &'static LazyLock<Script>,
        keys: &'static [&'static str],
        arguments: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            script,
            keys,
            arguments,
        }
    }
}

static CASES: [Case; 21] = [
    Case::new(
        "join",
        &JOIN,
        &["leases", "taken:me", "ids"],
        &["me", "1000", "again"],
    ),
    Case::new(
        "take",
        &TAKE,
        &[
            "jobs", "inbox", "taken:me", "ids", "due", "later", "meta", "leases", "suspects",
            "why", "bad",
        ],
        &["me", "10"],
    ),
    Case::new(
        "suspect",
        &SUSPECT,
        &["taken:me", "later", "meta", "leases", "suspects", "bad"],
        &["me"],
    ),
    Case::new(
        "reconcile",
        &RECONCILE,
        &[
            "jobs", "inbox", "taken:me", "due", "later", "meta", "suspects", "bad", "leases",
        ],
        &["me", "leave"],
    ),
    Case::new(
        "ack",
        &ACK,
        &["taken:me", "meta", "leases"],
        &["me", "1", "2"],
    ),
    Case::new(
        "retry",
        &RETRY,
        &["taken:me", "due", "later", "meta", "leases"],
        &["me", "1", "1000", "2 0 5"],
    ),
    Case::new(
        "give_back",
        &GIVE_BACK,
        &[
            "jobs", "taken:me", "due", "later", "meta", "suspects", "bad", "leases",
        ],
        &["me", "1", "2", "3"],
    ),
    Case::new(
        "dead_letter",
        &DEAD_LETTER,
        &["taken:me", "meta", "jobs.dead", "why", "leases"],
        &["me", "1", "[]"],
    ),
    Case::new(
        "store_dead_letter",
        &STORE_DEAD_LETTER,
        &["jobs.dead", "why"],
        &["{}", "[]"],
    ),
    Case::new("expired", &EXPIRED, &["leases"], &[]),
    Case::new(
        "orphans",
        &ORPHANS,
        &["leases"],
        &["0", "{jobs}:*:*", "{jobs}:"],
    ),
    Case::new(
        "restore",
        &RESTORE,
        &["later", "due", "suspects", "meta"],
        &["0"],
    ),
    Case::new(
        "recover",
        &RECOVER,
        &[
            "jobs", "inbox", "inbox:me", "taken:me", "later", "meta", "leases", "suspects", "bad",
        ],
        &["me", "1000"],
    ),
    Case::new(
        "length",
        &LENGTH,
        &["jobs", "inbox", "due", "suspects"],
        &[],
    ),
    Case::new(
        "release",
        &RELEASE,
        &[
            "jobs", "inbox", "due", "suspects", "later", "meta", "ids", "leases",
        ],
        &["10"],
    ),
    Case::new(
        "depth",
        &DEPTH,
        &["jobs", "inbox", "due", "suspects", "taken:me"],
        &[],
    ),
    Case::new(
        "select",
        &SELECT,
        &[
            "jobs",
            "inbox",
            "due",
            "suspects",
            "later",
            "meta",
            "why",
            "jobs.dead",
        ],
        &["move", "4"],
    ),
    Case::new("hold", &HOLD, &["lease"], &["me", "1000"]),
    Case::new(
        "peek",
        &PEEK,
        &["jobs", "inbox", "due", "suspects", "later", "meta", "why"],
        &["0", "10"],
    ),
    Case::new(
        "requeue",
        &REQUEUE,
        &[
            "jobs",
            "inbox",
            "due",
            "suspects",
            "later",
            "meta",
            "jobs.dead",
        ],
        &["10"],
    ),
    Case::new(
        "purge",
        &PURGE,
        &["jobs", "inbox", "due", "suspects", "later", "meta", "why"],
        &["10"],
    ),
];

/// The name of a key as a queue has it.
fn named(key: &str) -> String {
    match key {
        "jobs" | "jobs.dead" => key.to_owned(),
        key => format!("{{jobs}}:{key}"),
    }
}

/// A queue with something everywhere: fresh, in flight with and without a record, due, suspect.
async fn fill(server: &RedisServer, connection: &mut MultiplexedConnection) {
    server.command(&["FLUSHALL"]).await.unwrap();
    let filled: RedisResult<()> = redis::pipe()
        .rpush("jobs", &["a", "b"])
        .rpush("{jobs}:inbox", "c")
        .rpush("{jobs}:inbox:me", "d")
        .rpush("jobs.dead", "e")
        .hset_multiple(
            "{jobs}:taken:me",
            &[("1", "f"), ("2", "g"), ("3", "h"), ("no id", "i")],
        )
        .set("{jobs}:ids", 6)
        .zadd_multiple("{jobs}:due", &[(1, "4"), (1, "no id either")])
        .hset_multiple(
            "{jobs}:later",
            &[("4", "j"), ("5", "k"), ("no id either", "l")],
        )
        .hset_multiple(
            "{jobs}:meta",
            &[("2", "2 0"), ("3", "1 1"), ("4", "2 0"), ("5", "no meta")],
        )
        .zadd("{jobs}:leases", "me", 1000)
        .zadd("{jobs}:suspects", "5", 1)
        .hset("{jobs}:why", "f", "[]")
        .hset("{jobs}:bad", "6", "m")
        .set("{jobs}:lease", "me")
        .query_async(connection)
        .await;
    filled.unwrap();
}

async fn run(case: &Case, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
    let mut call = case.script.prepare_invoke();
    for key in case.keys {
        call.key(named(key));
    }
    for argument in case.arguments {
        call.arg(*argument);
    }
    call.invoke_async(connection).await
}

/// Everything that the server holds.
async fn held(connection: &mut MultiplexedConnection) -> BTreeMap<String, Vec<u8>> {
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    let mut held = BTreeMap::new();
    for key in keys {
        let dump = redis::cmd("DUMP").arg(&key).query_async(connection).await;
        held.insert(key, dump.unwrap());
    }
    held
}

/// Makes a key what its script does not expect; an ordinary value of another type.
async fn spoil(key: &str, connection: &mut MultiplexedConnection) {
    let name = named(key);
    let (_, kind) = TYPES.iter().find(|(known, _)| *known == key).unwrap();
    let () = connection.del(&name).await.unwrap();
    let () = match *kind {
        "string" => connection.rpush(&name, "x").await.unwrap(),
        _ => connection.set(&name, "x").await.unwrap(),
    };
}

async fn server() -> (RedisServer, MultiplexedConnection) {
    let server = RedisServer::start().await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    let address = format!("redis://{}/0", server.address());
    let client = redis::Client::open(address).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    (server, connection)
}

microagent_testing::needs! {
    redis {
        async fn a_key_of_a_wrong_type_is_named_before_anything_is_changed,
        async fn no_script_loses_a_body,
        async fn many_messages_in_flight_are_a_table,
    }
}

async fn a_key_of_a_wrong_type_is_named_before_anything_is_changed() {
    let (server, mut connection) = server().await;
    let mut tried = 0;
    for case in &CASES {
        for key in case.keys {
            fill(&server, &mut connection).await;
            spoil(key, &mut connection).await;
            let before = held(&mut connection).await;
            let error = run(case, &mut connection).await.unwrap_err();
            let text = format!("{error}");
            assert!(text.contains("WRONGTYPE"), "{} {key}: {text}", case.name);
            assert!(text.contains(&named(key)), "{} {key}: {text}", case.name);
            assert_eq!(held(&mut connection).await, before, "{} {key}", case.name);
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
}

/// With the right types no script fails, whatever the records say, and no body leaves all queues but where that is asked for.
async fn no_script_loses_a_body() {
    let (server, mut connection) = server().await;
    for case in &CASES {
        fill(&server, &mut connection).await;
        let before = bodies(&mut connection).await;
        run(case, &mut connection).await.expect(case.name);
        let mut missing = before;
        for body in bodies(&mut connection).await {
            missing.retain(|other| *other != body);
        }
        let removed: &[&str] = match case.name {
            "ack" => &["f", "g"],
            // The waiting messages: the list, the inbox, those that are due, and suspects.
            "purge" => &["a", "b", "c", "j", "k", "l"],
            _ => &[],
        };
        assert_eq!(missing, removed, "{}", case.name);
    }
}

/// In a list, each message would cost the server a search through all others.
async fn many_messages_in_flight_are_a_table() {
    let (_server, mut connection) = server().await;
    let who = Identity::new(&std::sync::Arc::new(QueueKeys::of("jobs")));
    let lasts = Duration::from_secs(60);
    join(&mut connection, &who, lasts, true).await.unwrap();
    for (limit, in_flight, encoding) in [(9, 9, "listpack"), (100, 109, "hashtable")] {
        let () = connection.rpush("jobs", vec!["{}"; limit]).await.unwrap();
        take(&mut connection, &who, limit).await.unwrap();
        let mut ask = redis::cmd("OBJECT");
        let ask = ask.arg("ENCODING").arg(&who.taken);
        let found: String = ask.query_async(&mut connection).await.unwrap();
        let held: Vec<String> = connection.hkeys(&who.taken).await.unwrap();
        assert_eq!((found.as_str(), held.len()), (encoding, in_flight));
        assert!(held.iter().all(|id| !id.is_empty()), "{held:?}");
    }
}

/// The bodies in all places where bodies are.
async fn bodies(connection: &mut MultiplexedConnection) -> Vec<String> {
    let mut bodies = Vec::new();
    for list in ["jobs", "{jobs}:inbox", "{jobs}:inbox:me", "jobs.dead"] {
        let held: Vec<String> = connection.lrange(list, 0, -1).await.unwrap();
        bodies.extend(held);
    }
    for hash in ["{jobs}:taken:me", "{jobs}:later", "{jobs}:bad"] {
        let held: Vec<String> = connection.hvals(hash).await.unwrap();
        bodies.extend(held);
    }
    bodies.sort_unstable();
    bodies
}

/// Each script is in the table above.
#[test]
fn every_script_is_tried() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/broker/lua")).unwrap();
    let mut names: Vec<_> = files
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name != "common")
        .collect();
    names.sort_unstable();
    let mut tried: Vec<_> = CASES.iter().map(|case| case.name.to_owned()).collect();
    tried.sort_unstable();
    assert_eq!(tried, names);
}
