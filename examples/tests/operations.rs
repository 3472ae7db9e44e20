//! Tests of the files in `ops/` and of the scrape of the example agents, with a real Prometheus.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "shared/running.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod running;

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use examples::{CommentAgent, EmailAgent, UserAgent};
use microagent::{operate::HttpServer, prelude::*};
use microagent_testing::RedisServer;
use running::{Group, Launcher, SETTINGS};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::sleep;

microagent_testing::needs! {
    prometheus {
        fn the_alerts_fire_when_they_should,
        multi_thread async fn prometheus_scrapes_the_example_agents,
        multi_thread async fn prometheus_scrapes_the_launcher_of_the_example_group,
    }
    redis {
        multi_thread async fn an_agent_whose_redis_is_away_is_not_ready_and_lives,
    }
}

const PATIENCE: Duration = Duration::from_secs(120);
const ASK_AGAIN: Duration = Duration::from_millis(100);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Runs `promtool`, which must succeed, with this input.
fn promtool(arguments: &[&str], input: &str) {
    let mut promtool = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "promtool {arguments:?}: {}\n{input}",
        String::from_utf8_lossy(&text)
    );
}

fn the_alerts_fire_when_they_should() {
    promtool(&["check", "rules", "ops/alerts.yml"], "");
    promtool(&["test", "rules", "ops/alerts_test.yml"], "");
    let alerts = file("ops/alerts.yml");
    let tests = file("ops/alerts_test.yml");
    for alert in alerts
        .lines()
        .filter_map(|line| line.split("alert: ").nth(1))
    {
        assert!(
            tests.contains(&format!("alertname: {alert}")),
            "no test of {alert}"
        );
    }
}

/// Returns the names of all metrics, as the sources of `/metrics` write them.
fn known_metrics() -> BTreeSet<String> {
    let folder = root().join("crates/microagent-http/src/metrics");
    let mut names = BTreeSet::new();
    for source in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(source.unwrap().path()).unwrap();
        for (kind, suffixes) in [
            ("to.gauge(", &[""][..]),
            ("to.counter(", &["_total"]),
            ("to.histogram(", &["_bucket", "_sum", "_count"]),
        ] {
            for call in source.split(kind).skip(1) {
                let name = call.trim_start().trim_start_matches('"');
                let name = name.split('"').next().unwrap();
                names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
            }
        }
    }
    names
}

/// Returns the names of metrics in expressions: words with our prefixes, outside of texts.
fn metrics_in(expressions: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expressions.split(|c| !is_part(c));
    let ours = words.filter(|word| {
        ["microagent_", "process_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    });
    ours.map(str::to_owned).collect()
}

#[test]
fn alerts_and_the_dashboard_name_metrics_that_exist() {
    let known = known_metrics();
    assert!(
        known.contains("microagent_handler_runs_total") && known.len() > 30,
        "{known:?}"
    );
    let dashboard: Value = serde_json::from_str(&file("ops/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let mut expressions: String = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned() + "\n")
        .collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    expressions.extend(
        variables
            .iter()
            .filter_map(|variable| variable["definition"].as_str()),
    );
    let in_dashboard = metrics_in(&expressions);
    assert!(in_dashboard.len() > 15, "{in_dashboard:?}");
    for (place, used) in [
        ("ops/grafana.json", in_dashboard),
        ("ops/alerts.yml", metrics_in(&file("ops/alerts.yml"))),
        (
            "ops/alerts_test.yml",
            metrics_in(&file("ops/alerts_test.yml")),
        ),
    ] {
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?}");
    }
}

#[test]
fn the_page_names_every_metric_and_no_other() {
    let page = file("docs/operate.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let names: Vec<_> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let documented = metrics_in(&names.join("\n"));
    // A histogram is documented by its name.
    let stem = |name: &String| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let stem = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        stem.unwrap_or(name).to_owned()
    };
    let known: BTreeSet<_> = known_metrics().iter().map(stem).collect();
    assert_eq!(documented, known);
}

/// Gets a path of a server on this machine; returns the status code and the body.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(connection, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

/// Returns an address that no other process uses now.
fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// A Prometheus that scrapes one address and evaluates our alerts. It ends when this is dropped.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = root().join("ops/alerts.yml").canonicalize().unwrap();
        let settings = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n\
             scrape_configs: [{{job_name: microagent, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, settings).unwrap();
        let address = free_address();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process,
            address,
            _folder: folder,
        }
    }

    /// Asks until the answer has what the question wants.
    async fn wait_for<T>(&self, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < deadline {
            last = get(self.address, path);
            let answer = last
                .as_ref()
                .and_then(|(_, body)| serde_json::from_str(body).ok());
            if let Some(found) = answer.as_ref().and_then(&wanted) {
                return found;
            }
            sleep(ASK_AGAIN).await;
        }
        panic!("{path}: {last:?}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Scrapes three ready agents with a real Prometheus, which evaluates our alerts.
async fn scrape(address: SocketAddr, agents: [&str; 3]) {
    let (code, scrape) = get(address, "/metrics").unwrap();
    assert_eq!(code, 200, "{scrape}");
    promtool(&["check", "metrics"], &scrape);
    for agent in agents {
        let ready = format!("microagent_agent_ready{{agent=\"{agent}\"}} 1");
        assert!(scrape.contains(&ready), "{ready}: {scrape}");
    }
    let names: BTreeSet<_> = metrics_in(&scrape);
    assert!(names.contains("microagent_schedule_next_run_timestamp_seconds"));

    let prometheus = Prometheus::start(address);
    let targets = "/api/v1/targets?state=active";
    prometheus
        .wait_for(targets, |answer| {
            (answer["data"]["activeTargets"][0]["health"] == "up").then_some(())
        })
        .await;
    let query = "/api/v1/query?query=sum(microagent_agent_ready)";
    prometheus
        .wait_for(query, |answer| {
            (answer["data"]["result"][0]["value"][1] == "3").then_some(())
        })
        .await;
    // Each rule has been evaluated, without an error.
    let rules = prometheus
        .wait_for("/api/v1/rules", |answer| {
            let rules = answer["data"]["groups"][0]["rules"].as_array()?;
            let evaluated = |rule: &Value| rule["health"] == "ok";
            rules.iter().all(evaluated).then_some(rules.len())
        })
        .await;
    let alerts = file("ops/alerts.yml").matches("- alert: ").count();
    assert_eq!(rules, alerts);
}

async fn prometheus_scrapes_the_example_agents() {
    let bus = Bus::connect("memory://operations").await.unwrap();
    let broker = Broker::connect("memory://operations").await.unwrap();
    let comments = Agent::new(CommentAgent::default())
        .bus(bus.clone())
        .broker(broker.clone());
    let comments = comments.start().await.unwrap();
    let emails = Agent::new(EmailAgent)
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    let users = Agent::new(UserAgent)
        .bus(bus.clone())
        .broker(broker.clone());
    let users = users.start().await.unwrap();
    let sources = vec![
        comments.status_source(),
        emails.status_source(),
        users.status_source(),
    ];
    let server = HttpServer::start("127.0.0.1:0", sources).unwrap();

    scrape(
        server.address(),
        ["CommentAgent", "EmailAgent", "UserAgent"],
    )
    .await;
    users.stop().await.unwrap();
    emails.stop().await.unwrap();
    comments.stop().await.unwrap();
}

async fn prometheus_scrapes_the_launcher_of_the_example_group() {
    let folder = tempfile::tempdir().unwrap();
    let dsn = format!("local:{}", folder.path().display());
    let address = free_address();
    let mut launcher = Launcher::Marun.group(Path::new(SETTINGS), &dsn);
    launcher.args(["--http", &address.to_string()]);
    let mut group = Group::start(launcher);
    group.wait_for_line("all agents are ready", PATIENCE);
    wait_for_code(address, "/health/ready", 200).await;
    assert_eq!(group.agents().len(), 3, "a process for each agent");
    scrape(address, ["comment_agent", "email_agent", "user_agent"]).await;
    group.signal(Signal::TERM);
    assert!(group.wait_for_end(PATIENCE).success(), "{}", group.log());
}

/// Asks until a path is answered with this code, and returns the body.
async fn wait_for_code(address: SocketAddr, path: &str, code: u16) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(address, path);
        match answer {
            Some((found, body)) if found == code => return body,
            _ => assert!(Instant::now() < deadline, "{path}: {answer:?}"),
        }
        sleep(ASK_AGAIN).await;
    }
}

async fn an_agent_whose_redis_is_away_is_not_ready_and_lives() {
    let redis = RedisServer::start().await.unwrap();
    let broker = Broker::connect(&redis.dsn()).await.unwrap();
    let emails = Agent::new(EmailAgent)
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    let server = HttpServer::start("127.0.0.1:0", vec![emails.status_source()]).unwrap();
    let address = server.address();
    wait_for_code(address, "/health/ready", 200).await;
    redis.kill();
    let body = wait_for_code(address, "/health/ready", 503).await;
    assert!(body.contains(r#""state":"no_broker""#), "{body}");
    assert!(
        body.contains(r#""check":"broker","ok":false,"since":"#),
        "{body}"
    );
    for path in ["/health/live", "/health/started"] {
        assert_eq!(get(address, path).unwrap().0, 200, "{path}");
    }
    let (_, metrics) = get(address, "/metrics").unwrap();
    assert!(
        metrics.contains("microagent_broker_connected{agent=\"EmailAgent\"} 0"),
        "{metrics}"
    );
    redis.restart().await.unwrap();
    wait_for_code(address, "/health/ready", 200).await;
    emails.stop().await.unwrap();
    broker.close().await.unwrap();
}
