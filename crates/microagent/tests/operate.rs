//! Metrics and health of the agents of one program, over HTTP.

#![cfg(feature = "operate")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use microagent::{
    ErrorKind, RunningAgent,
    operate::{HttpServer, answer},
    prelude::*,
    status::StatusSlot,
};
use tokio::runtime::{Builder, Runtime};

const MAILER: Queue = Queue::new("mailer");
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for permission in each phase of its life: once without an `.await`, which blocks its runtime.
struct Phases {
    entered: Sender<&'static str>,
    may_go: Mutex<Receiver<()>>,
}

impl Phases {
    fn block(&self, phase: &'static str) {
        self.entered.send(phase).unwrap();
        self.may_go.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    }

    async fn wait(&self, phase: &'static str) {
        self.entered.send(phase).unwrap();
        while self.may_go.lock().unwrap().try_recv().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[agent]
impl Phases {
    #[on(pre_start)]
    async fn prepare(&self) -> Result<()> {
        self.wait("starting").await;
        Ok(())
    }

    #[consumer(MAILER, concurrency = 1)]
    async fn send(&self, blocks: bool) {
        if blocks {
            self.block("blocked");
        } else {
            self.wait("saturated").await;
        }
    }

    #[on(pre_stop)]
    async fn finish(&self) -> Result<()> {
        self.wait("draining").await;
        Ok(())
    }
}

/// Sends a request as it is, and returns the status code and the whole answer.
fn exchange(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let code = text.split(' ').nth(1).unwrap_or_default();
    (code.parse().unwrap_or_default(), text)
}

fn get(address: SocketAddr, target: &str) -> (u16, String) {
    exchange(
        address,
        &format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"),
    )
}

/// Asks until the answer has this code and contains the text.
#[track_caller]
fn await_answer(address: SocketAddr, target: &str, code: u16, part: &str) -> String {
    let began = std::time::Instant::now();
    loop {
        let (found, text) = get(address, target);
        if found == code && text.contains(part) {
            return text;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{target}: not {code} with `{part}`, but {text}"
        );
        thread::yield_now();
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Leads an agent through its phases.
async fn live(phases: Phases, slot: StatusSlot) {
    let broker = Broker::connect("memory://").await.unwrap();
    let agent = Agent::new(phases).broker(broker.clone()).name("front");
    let agent = agent.status_slot(slot).start().await.unwrap();
    for blocks in [false, true] {
        let message = json!({"blocks": blocks});
        broker.send(MAILER, &message).await.unwrap();
    }
    while agent.status().handlers[0].done < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    agent.stop().await.unwrap();
}

#[test]
fn each_state_of_an_agent_has_its_health_and_it_lives_in_all_of_them() {
    let ((entered, has_entered), (go, may_go)) = (channel(), channel());
    let slot = StatusSlot::new();
    let places = vec![("front".to_owned(), slot.clone())];
    let server = HttpServer::start("127.0.0.1:0", places).unwrap();
    let address = server.address();
    await_answer(address, "/health/started", 503, "has not been started");
    let agent_thread = thread::spawn(move || {
        let may_go = Mutex::new(may_go);
        runtime().block_on(live(Phases { entered, may_go }, slot));
    });
    let enter = |phase| assert_eq!(has_entered.recv_timeout(PATIENCE).unwrap(), phase);
    let unready = |part| await_answer(address, "/health/ready", 503, part);
    let lives = || assert_eq!(get(address, "/health/live").0, 200);

    enter("starting");
    await_answer(address, "/health/started", 503, r#""state":"starting""#);
    unready(r#""check":"started","ok":false"#);
    lives();
    go.send(()).unwrap();

    enter("saturated");
    await_answer(address, "/health/ready", 200, r#""state":"ready""#);
    await_answer(address, "/health/started?agent=front", 200, "front");
    let metrics = await_answer(address, "/metrics", 200, "microagent_handler_waiting");
    assert!(
        metrics.contains(r#"microagent_handler_running{agent="front",handler="send",kind="queue",source="mailer"} 1"#),
        "{metrics}"
    );
    go.send(()).unwrap();

    enter("blocked");
    let text = unready(r#""check":"runtime","ok":false"#);
    assert!(text.contains(r#""state":"blocked""#), "{text}");
    unready("blocked by Phases.send");
    lives();
    go.send(()).unwrap();

    enter("draining");
    unready(r#""check":"serving","ok":false"#);
    lives();
    go.send(()).unwrap();
    agent_thread.join().unwrap();
    unready(r#""state":"stopped""#);
    await_answer(
        address,
        "/metrics",
        200,
        r#"agent="front",state="stopped"} 1"#,
    );
    lives();
}

struct Idle;

#[agent]
impl Idle {
    #[consumer(MAILER)]
    async fn send(&self) {}
}

/// Serves an agent that has nothing to do, on a runtime that goes on until it is dropped.
fn idle() -> (HttpServer, Runtime, RunningAgent<Idle>) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let agent = runtime.block_on(async {
        let broker = Broker::connect("memory://").await.unwrap();
        Agent::new(Idle).broker(broker).start().await.unwrap()
    });
    let server = HttpServer::start("127.0.0.1:0", vec![agent.status_source()]).unwrap();
    (server, runtime, agent)
}

#[test]
fn a_wrong_request_is_answered_with_what_is_possible() {
    let (server, _runtime, agent) = idle();
    let sources = vec![agent.status_source()];
    let address = server.address();
    for (target, code, part) in [
        ("/", 404, "/health/ready"),
        ("/health/ready?agent=nobody", 404, "available: `Idle`"),
        ("/health/live?agent=nobody", 404, "available: `Idle`"),
        ("/metrics?agents=Idle", 400, "unknown parameter `agents`"),
        ("/metrics?agent=Idle&agent=Idle", 400, "twice"),
    ] {
        let (found, text) = get(address, target);
        assert_eq!(found, code, "{target}: {text}");
        assert!(text.contains(part), "{target}: {text}");
        let same = answer(&sources, target);
        assert_eq!(same.code, code);
        assert!(text.ends_with(&same.body), "{text}");
    }
    let (code, text) = exchange(address, "POST /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(code, 405, "{text}");
    assert!(text.contains("allow: GET, HEAD"), "{text}");
    let (code, text) = exchange(address, "HEAD /health/live HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(code, 200);
    assert!(text.ends_with("\r\n\r\n"), "no body: {text}");
    assert_eq!(exchange(address, "nonsense\r\n\r\n").0, 400);
}

#[test]
fn clients_that_send_nothing_hold_up_no_others_for_long() {
    let (server, _runtime, _agent) = idle();
    let address = server.address();
    let mut silent: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    assert_eq!(get(address, "/health/live").0, 200);
    for stream in &mut silent[..256] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // It is closed, with or without an answer.
        let _ = stream.read_to_end(&mut rest);
    }
    let header = format!(
        "GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(header.as_bytes());
    assert_eq!(get(address, "/health/ready").0, 200);
}

#[test]
fn an_address_that_cannot_be_served_is_named() {
    let (server, _runtime, agent) = idle();
    let sources = vec![agent.status_source()];
    let taken = server.address().to_string();
    for address in [taken.as_str(), "nonsense", "127.0.0.1:notaport", "9090"] {
        let error = HttpServer::start(address, sources.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = error.to_string();
        assert!(text.contains(&format!("`{address}`")), "{text}");
    }
}

#[test]
fn a_server_that_is_dropped_frees_its_address() {
    let (server, _runtime, agent) = idle();
    let sources = vec![agent.status_source()];
    let address = server.address().to_string();
    assert_eq!(get(server.address(), "/health/live").0, 200);
    drop(server);
    HttpServer::start(&address, sources).unwrap();
}
