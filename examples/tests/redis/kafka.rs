//! The documented group with its queues on Kafka and its bus on Redis: all in Rust, with a sender in Python, and with a consumer in
//! Python.

use std::{process::Command, time::Duration};

use examples::queues;
use microagent::prelude::*;
use microagent_testing::KafkaServer;

use crate::{
    end,
    mixed::{ALL, with_python},
    running::{Group, Launcher},
    scene::{Scene, scene},
};

microagent_testing::needs! {
    redis + kafka {
        fn the_documented_group_runs_with_its_queues_on_kafka,
    }
    redis + kafka + python {
        fn the_comment_agent_may_be_in_python_beside_kafka,
        fn the_email_agent_may_be_in_python_beside_kafka,
    }
}

const LIMIT: Duration = Duration::from_secs(90);

/// Starts a server of the test's own.
fn kafka(scene: &Scene) -> KafkaServer {
    scene.runtime.block_on(KafkaServer::start()).unwrap()
}

/// Starts this group with its queues on the server.
fn start(server: &KafkaServer, mut command: Command) -> Group {
    command.env("EXAMPLE_BROKER", server.dsn());
    Group::start(command)
}

fn broker(scene: &Scene, server: &KafkaServer) -> Broker {
    let dsn = server.dsn();
    let connecting = async { Broker::connect(&dsn).await.unwrap() };
    scene.runtime.block_on(connecting)
}

fn send(scene: &Scene, broker: &Broker, mail: &Value) {
    let sent = async { broker.send(queues::MAILER, mail).await };
    scene.runtime.block_on(sent).unwrap();
}

fn the_documented_group_runs_with_its_queues_on_kafka() {
    let scene = scene();
    let server = kafka(&scene);
    for launcher in [Launcher::Examples, Launcher::Marun] {
        let mut group = start(&server, scene.group(launcher));
        group.wait_for("comment_agent", "Catch signal", LIMIT);
        let answer = "Get value = {\"CommentAgent.example_rpc_handler\":";
        group.wait_for("user_agent", answer, LIMIT);
        group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", LIMIT);
        end(&mut group, ALL);
    }
}

/// Mail from Python, and from Rust, to Rust.
fn the_comment_agent_may_be_in_python_beside_kafka() {
    let scene = scene();
    let server = kafka(&scene);
    let mut group = start(&server, with_python(&scene, "comment_agent"));
    let answer = "Get value = {\"CommentAgent.example_rpc_handler\":1}";
    group.wait_for("user_agent", answer, LIMIT);
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", LIMIT);
    send(
        &scene,
        &broker(&scene, &server),
        &json!({"text": "é \" \\ 😀"}),
    );
    let line = "Catch emailer {\"text\":\"é \\\" \\\\ 😀\"";
    group.wait_for("email_agent", line, LIMIT);
    end(&mut group, ALL);
}

/// Mail from Rust to Python, which receives what is sent while it runs.
fn the_email_agent_may_be_in_python_beside_kafka() {
    let scene = scene();
    let server = kafka(&scene);
    let mut group = start(&server, with_python(&scene, "email_agent"));
    let mail = "Catch emailer {'text': 'Comment', 'email': 'user@lwr.pw', 'kafka':";
    group.wait_for("email_agent", mail, LIMIT);
    let mail = json!({"text": "é \" \\ 😀", "n": [1, 2.5, null, true]});
    send(&scene, &broker(&scene, &server), &mail);
    let line = "Catch emailer {'text': 'é \" \\\\ 😀', 'n': [1, 2.5, None, True], 'kafka':";
    group.wait_for("email_agent", line, LIMIT);
    end(&mut group, ALL);
}
