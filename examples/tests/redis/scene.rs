//! A private Redis, the documentation's settings on it, and what a look from outside finds there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use microagent::prelude::*;
use microagent_testing::RedisServer;
use redis::Commands;
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::running::{Group, Launcher, SETTINGS};

/// All mails that are not settled, at one instant.
const UNSETTLED: &str = "
    local left = redis.call('LLEN', 'mailer') + redis.call('HLEN', '{mailer}:later')
    for _, key in ipairs(redis.call('KEYS', '{mailer}:taken:*')) do left = left + redis.call('HLEN', key) end
    for _, key in ipairs(redis.call('KEYS', '{mailer}:inbox:*')) do left = left + redis.call('LLEN', key) end
    return left
";

/// A server of one's own, a folder, and a runtime for what a test does beside the group.
pub(crate) struct Scene {
    pub(crate) server: RedisServer,
    folder: TempDir,
    pub(crate) runtime: Runtime,
}

/// Starts a server of the test's own.
pub(crate) fn scene() -> Scene {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    let folder = tempfile::tempdir().unwrap();
    Scene {
        server,
        folder,
        runtime,
    }
}

impl Scene {
    /// The group of the documentation's settings on this server.
    pub(crate) fn group(&self, launcher: Launcher) -> Command {
        launcher.group(Path::new(SETTINGS), &self.server.dsn())
    }

    /// The documentation's settings with an agent's section written otherwise.
    pub(crate) fn settings_with(&self, agent: &str, section: &str) -> PathBuf {
        let text = fs::read_to_string(SETTINGS).unwrap();
        let (before, rest) = text.split_once(&format!("[agent.{agent}]\n")).unwrap();
        let after = rest.split_once("\n[").map_or("", |(_, after)| after);
        let after = match after {
            "" => String::new(),
            after => format!("\n[{after}"),
        };
        let declarations = concat!(env!("CARGO_MANIFEST_DIR"), "/signals.json");
        let before = before.replace("\"signals.json\"", &format!("{declarations:?}"));
        let path = self.folder.path().join("settings.toml");
        fs::write(
            &path,
            format!("{before}[agent.{agent}]\n{section}\n{after}"),
        )
        .unwrap();
        path
    }

    /// A group of these settings.
    pub(crate) fn start(&self, settings: &Path) -> Group {
        Group::start(Launcher::Examples.group(settings, &self.server.dsn()))
    }

    pub(crate) fn look(&self) -> redis::Connection {
        let client = redis::Client::open(self.server.dsn()).unwrap();
        client.get_connection().unwrap()
    }

    /// A bus as the group's, in this process.
    pub(crate) fn bus(&self) -> Bus {
        let bus = Bus::builder(&self.server.dsn()).prefix("PREF");
        self.runtime
            .block_on(async { bus.connect().await.unwrap() })
    }

    /// The group's broker, in this process.
    pub(crate) fn broker(&self) -> Broker {
        let connecting = async { Broker::connect(&self.server.dsn()).await.unwrap() };
        self.runtime.block_on(connecting)
    }

    /// Returns how many messages consumers have taken and not settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.taken("*")
    }

    fn taken(&self, consumers: &str) -> usize {
        let mut look = self.look();
        let pattern = format!("{{mailer}}:taken:{consumers}");
        let taken: Vec<String> = look.keys(pattern).unwrap();
        let counts = taken.iter().map(|key| look.hlen::<_, usize>(key).unwrap());
        counts.sum()
    }

    /// Waits until no mail is left anywhere: in the list, in flight, or waiting to run again.
    pub(crate) fn wait_until_drained(&self, within: Duration) {
        let (unsettled, deadline) = (redis::Script::new(UNSETTLED), Instant::now() + within);
        let mut look = self.look();
        loop {
            let left: usize = unsettled.invoke(&mut look).unwrap();
            if left == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{left} left after {within:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns how many messages wait in a list.
    pub(crate) fn waiting(&self, list: &str) -> usize {
        self.look().llen(list).unwrap()
    }

    /// Returns how many messages the consumers of this process have taken and not settled.
    pub(crate) fn taken_by(&self, process: Pid) -> usize {
        self.taken(&format!("{}-*", process.as_raw_nonzero()))
    }

    /// The texts of the mails that are dead letters.
    pub(crate) fn dead(&self) -> Vec<String> {
        let bodies: Vec<String> = self.look().lrange("mailer.dead", 0, -1).unwrap();
        bodies.iter().map(|body| text_of(body)).collect()
    }
}

fn text_of(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["text"].as_str().unwrap().to_owned()
}

/// The text of the mail that a line tells of, if it is one of the numbered.
pub(crate) fn mail_in(line: &str) -> Option<&str> {
    let (_, body) = line.split_once("Catch emailer {\"text\":\"")?;
    let (text, _) = body.split_once('"')?;
    text.starts_with("mail ").then_some(text)
}
