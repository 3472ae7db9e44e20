//! The shop as its owner runs it: five processes, on `local:` and on Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use microagent_testing::RedisServer;
use rustix::process::{Pid, Signal, kill_process};

/// The longest duration of a step, on a machine that is busy with other tests.
const STEP: Duration = Duration::from_secs(60);

/// The group of the settings, and its log so far.
struct Shop {
    launcher: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Shop {
    fn open(dsn: &str) -> Self {
        let mut launcher = Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/settings.toml"))
            .env("SHOP_BUS", dsn)
            .env("SHOP_BROKER", dsn)
            .env("SHOP_LISTEN", "127.0.0.1:0")
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(launcher.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Self {
            launcher,
            lines,
            log: Vec::new(),
        }
    }

    /// Waits for a line that contains this text, and returns it.
    fn line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + STEP;
        if let Some(line) = self.log.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("no `{text}` in:\n{}", self.log.join("\n"));
    }

    /// SIGTERM, and the end.
    fn close(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.launcher), Signal::TERM).unwrap();
        self.launcher.wait().unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Gone already, when the test went well.
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

fn post(address: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        connection,
        "POST /orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}

/// A customer orders, and gets a mail; what is not in stock is refused.
fn sells(dsn: &str) {
    let mut shop = Shop::open(dsn);
    let opened = shop.line("the shop is open");
    let (_, address) = opened.split_once("address=").unwrap();
    let address = address.split_whitespace().next().unwrap().to_owned();
    for agent in ["web", "orders", "stock", "mailer", "reporter"] {
        shop.line(&format!("agent=\"{agent}\""));
    }

    let order = r#"{"item": "teapot", "quantity": 2, "email": "ann@example.com"}"#;
    for _ in 0..3 {
        let response = post(&address, order);
        assert!(response.starts_with("HTTP/1.1 202 "), "{response}");
        let (_, order_id) = response.split_once("\r\n\r\n").unwrap();
        shop.line(&format!("Your order {order_id}: 19.98 EUR"));
    }
    let sold = shop.line("left=4");
    assert!(sold.contains("teapot"), "{sold}");
    let refused = post(&address, &order.replace('2', "5"));
    assert!(refused.starts_with("HTTP/1.1 409 "), "{refused}");
    assert!(refused.ends_with("only 4 of `teapot` left"), "{refused}");
    let status = shop.close();
    assert_eq!(status.code(), Some(0), "{}", shop.log.join("\n"));
}

#[test]
fn the_shop_sells_on_local() {
    let folder = tempfile::tempdir().unwrap();
    sells(&format!("local:{}", folder.path().display()));
}

microagent_testing::needs! {
    redis {
        fn the_shop_sells_on_redis,
    }
}

fn the_shop_sells_on_redis() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    sells(&server.dsn());
}
