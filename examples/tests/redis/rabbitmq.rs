//! The documented group with its queues on RabbitMQ and its bus on Redis: all in Rust, and with each of the three agents in Python.

use std::{
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use examples::queues;
use microagent::prelude::*;
use microagent_testing::{RabbitMqServer, VirtualClock};
use redis::Commands;
use tokio::{runtime::Runtime, sync::mpsc, time::timeout};

use crate::{
    end,
    mixed::{ALL, with_python},
    running::{Group, Launcher},
    scene::{Scene, scene},
};

microagent_testing::needs! {
    redis + rabbitmq {
        fn the_documented_group_runs_with_its_queues_on_rabbitmq,
        fn one_replica_runs_by_the_leases_of_the_bus_beside_rabbitmq,
    }
    redis + rabbitmq + python {
        fn the_user_agent_may_be_in_python_beside_rabbitmq,
        fn the_comment_agent_may_be_in_python_beside_rabbitmq,
        fn python_cannot_ask_the_length_of_a_durable_queue_and_its_mail_arrives,
        fn the_email_agent_may_be_in_python_beside_rabbitmq,
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// The virtual host `/`, which all these tests use, one after the other.
struct Queues {
    server: RabbitMqServer,
    runtime: Runtime,
}

/// The server of these tests, with no queue.
fn rabbitmq() -> MutexGuard<'static, Option<Queues>> {
    static SHARED: Mutex<Option<Queues>> = Mutex::new(None);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let Queues { server, runtime } = shared.get_or_insert_with(|| {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(RabbitMqServer::start()).unwrap();
        Queues { server, runtime }
    });
    let delete = "[rabbit_amqqueue:delete(Q, false, false, <<>>) || Q <- rabbit_amqqueue:list()].";
    let deleting = async { server.control(&["eval", delete]).await };
    runtime.block_on(deleting).unwrap();
    shared
}

/// Starts this group with its queues on the server, by a DSN in the documented form.
fn start(shared: &Option<Queues>, options: &str, mut command: Command) -> (Group, String) {
    let dsn = format!("{}{options}", shared.as_ref().unwrap().server.dsn());
    command.env("EXAMPLE_BROKER", &dsn);
    (Group::start(command), dsn)
}

fn broker(scene: &Scene, dsn: &str) -> Broker {
    let connecting = async { Broker::connect(dsn).await.unwrap() };
    scene.runtime.block_on(connecting)
}

fn the_documented_group_runs_with_its_queues_on_rabbitmq() {
    let (scene, shared) = (scene(), rabbitmq());
    for launcher in [Launcher::Examples, Launcher::Marun] {
        let (mut group, dsn) = start(&shared, "", scene.group(launcher));
        group.wait_for("comment_agent", "Catch signal", LIMIT);
        let answer = "Get value = {\"CommentAgent.example_rpc_handler\":";
        group.wait_for("user_agent", answer, LIMIT);
        group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", LIMIT);
        end(&mut group, ALL);
        let broker = broker(&scene, &dsn);
        let waiting = async { broker.length(queues::MAILER).await };
        assert_eq!(scene.runtime.block_on(waiting).unwrap(), 0);
    }
}

/// A replica of an agent with a queue and a schedule.
struct Billing {
    replica: usize,
    runs: mpsc::UnboundedSender<usize>,
}

#[agent]
impl Billing {
    #[cron("* * * * *", once)]
    async fn invoice(&self) {
        // The test may have ended.
        let _ = self.runs.send(self.replica);
    }

    #[consumer(queues::MAILER)]
    async fn take(&self, message: &Message) {
        assert!(message.id().is_some());
    }
}

/// RabbitMQ keeps no leases, so `once` uses those of the bus.
fn one_replica_runs_by_the_leases_of_the_bus_beside_rabbitmq() {
    let (scene, shared) = (scene(), rabbitmq());
    let dsn = shared.as_ref().unwrap().server.dsn();
    let (runs, mut reported) = mpsc::unbounded_channel();
    scene.runtime.block_on(async {
        let mut replicas = Vec::new();
        for replica in 0..3 {
            let runs = runs.clone();
            let agent = Agent::new(Billing { replica, runs })
                .clock(VirtualClock::at("2026-03-01T00:00:58Z").unwrap())
                .bus(Bus::connect(&scene.server.dsn()).await.unwrap())
                .broker(Broker::connect(&dsn).await.unwrap());
            replicas.push(agent.start().await.unwrap());
        }
        let first = timeout(LIMIT, reported.recv()).await.unwrap();
        assert!(first.is_some());
        // The clocks of all three have passed the instant by then.
        let second = timeout(Duration::from_secs(3), reported.recv()).await;
        assert!(second.is_err(), "two replicas have run: {second:?}");
        for replica in replicas {
            replica.stop().await.unwrap();
        }
    });
    let leases: Vec<String> = scene.look().keys("microagent:lease:*").unwrap();
    assert_eq!(leases.len(), 1, "{leases:?}");
}

/// Mail from Python to a durable queue of Rust.
fn the_user_agent_may_be_in_python_beside_rabbitmq() {
    let (scene, shared) = (scene(), rabbitmq());
    let (mut group, _) = start(&shared, "", with_python(&scene, "user_agent"));
    let answer = "Get value = {'CommentAgent.example_rpc_handler': 1}";
    group.wait_for("user_agent", answer, LIMIT);
    let created = examples::signals::UserCreated { user_id: 7.into() };
    let bus = scene.bus();
    scene.runtime.block_on(bus.send("shop", created)).unwrap();
    let welcome = "Catch emailer {\"text\":\"Welcome text\"";
    group.wait_for("email_agent", welcome, LIMIT);
    end(&mut group, ALL);
}

/// Mail from Python to a queue whose length it asks, so the queue is as Python declares it.
fn the_comment_agent_may_be_in_python_beside_rabbitmq() {
    let (scene, shared) = (scene(), rabbitmq());
    let command = with_python(&scene, "comment_agent");
    let (mut group, _) = start(&shared, "?durable=false", command);
    let answer = "Get value = {\"CommentAgent.example_rpc_handler\":1}";
    group.wait_for("user_agent", answer, LIMIT);
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", LIMIT);
    end(&mut group, ALL);
    assert!(!group.log().contains("PRECONDITION"), "{}", group.log());
}

/// The documented form, whose queues are durable: Python's handler fails behind its mail, as `docs/amqp.md` says.
fn python_cannot_ask_the_length_of_a_durable_queue_and_its_mail_arrives() {
    let (scene, shared) = (scene(), rabbitmq());
    let (mut group, _) = start(&shared, "", with_python(&scene, "comment_agent"));
    let answer = "Get value = {\"CommentAgent.example_rpc_handler\":1}";
    group.wait_for("user_agent", answer, LIMIT);
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", LIMIT);
    group.wait_for("comment_agent", "inequivalent arg 'durable'", LIMIT);
    end(&mut group, ALL);
}

/// Mail from Rust to a queue that Python declared.
fn the_email_agent_may_be_in_python_beside_rabbitmq() {
    let (scene, shared) = (scene(), rabbitmq());
    let (mut group, dsn) = start(&shared, "", with_python(&scene, "email_agent"));
    let mail = "Catch emailer {'text': 'Comment', 'email': 'user@lwr.pw', 'amqp':";
    group.wait_for("email_agent", mail, LIMIT);
    let mail = json!({"text": "é \" \\ 😀", "n": [1, 2.5, null, true]});
    let broker = broker(&scene, &dsn);
    let sent = async { broker.send(queues::MAILER, &mail).await };
    scene.runtime.block_on(sent).unwrap();
    let line = "Catch emailer {'text': 'é \" \\\\ 😀', 'n': [1, 2.5, None, True], 'amqp':";
    group.wait_for("email_agent", line, LIMIT);
    end(&mut group, ALL);
}
