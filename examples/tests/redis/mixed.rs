//! One of the three agents in Python: signals, calls and mail cross languages both ways, and the group ends as one.

use std::{path::Path, process::Command};

use examples::{queues, signals};
use microagent::prelude::*;

use crate::{
    START, end,
    python::{activated, python},
    running::{Group, Launcher},
    scene::{Scene, scene},
};

microagent_testing::needs! {
    redis + python {
        fn the_user_agent_may_be_in_python,
        fn the_comment_agent_may_be_in_python,
        fn the_email_agent_may_be_in_python,
        fn the_mixed_settings_run_as_they_stand,
    }
}

pub(crate) const ALL: [&str; 3] = ["comment_agent", "email_agent", "user_agent"];

/// Starts the group with this agent in Python.
fn mixed(agent: &str) -> (Scene, Group) {
    let scene = scene();
    let command = with_python(&scene, agent);
    let group = Group::start(command);
    (scene, group)
}

/// The group with this agent in Python, ready to start.
pub(crate) fn with_python(scene: &Scene, agent: &str) -> Command {
    let folder = python();
    let member = concat!(env!("CARGO_MANIFEST_DIR"), "/python/member.py");
    let command = format!("command = [{member:?}, {agent:?}]");
    let settings = scene.settings_with(agent, &command);
    let mut command = Launcher::Marun.group(&settings, &scene.server.dsn());
    command.env("PATH", activated(&folder));
    command
}

/// A signal and a call from Python to Rust; a signal from Rust to Python and mail from there to Rust.
fn the_user_agent_may_be_in_python() {
    let (scene, mut group) = mixed("user_agent");
    group.wait_for("user_agent", "Run periodic task", START);
    group.wait_for("comment_agent", "Catch signal", START);
    group.wait_for(
        "user_agent",
        "Get value = {'CommentAgent.example_rpc_handler': 1}",
        START,
    );
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", START);

    let created = signals::UserCreated { user_id: 7.into() };
    let bus = scene.bus();
    scene.runtime.block_on(bus.send("shop", created)).unwrap();
    let line = "Catch signal <Signal user_created> from shop with {'user_id': 7}";
    group.wait_for("user_agent", line, START);
    group.wait_for(
        "email_agent",
        "Catch emailer {\"text\":\"Welcome text\"",
        START,
    );
    end(&mut group, ALL);
}

/// A signal and a call from Rust to Python; mail from Python to Rust.
fn the_comment_agent_may_be_in_python() {
    let (scene, mut group) = mixed("comment_agent");
    group.wait_for("user_agent", "Run periodic task", START);
    group.wait_for("comment_agent", "Catch signal", START);
    group.wait_for(
        "user_agent",
        "Get value = {\"CommentAgent.example_rpc_handler\":1}",
        START,
    );
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", START);

    let bus = scene.bus();
    let question = || signals::RpcCommentsCount { user_id: 1.into() };
    let count = scene.runtime.block_on(async {
        let answer = bus.call("shop", question()).await.unwrap();
        answer.one::<u64>().unwrap()
    });
    assert!(count >= 1, "{count} comments");
    end(&mut group, ALL);
}

/// Mail from Rust to Python.
fn the_email_agent_may_be_in_python() {
    let (scene, mut group) = mixed("email_agent");
    group.wait_for(
        "email_agent",
        "Catch emailer {'text': 'Comment', 'email': 'user@lwr.pw'}",
        START,
    );
    let broker = scene.broker();
    let mail = json!({"text": "é \" \\ 😀", "n": [1, 2.5, null, true]});
    let sent = async { broker.send(queues::MAILER, &mail).await };
    scene.runtime.block_on(sent).unwrap();
    let line = "Catch emailer {'text': 'é \" \\\\ 😀', 'n': [1, 2.5, None, True]}";
    group.wait_for("email_agent", line, START);
    end(&mut group, ALL);
}

/// The settings that a reader finds beside the others.
fn the_mixed_settings_run_as_they_stand() {
    let scene = scene();
    let settings = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/mixed.toml"));
    let mut command = Launcher::Examples.group(settings, &scene.server.dsn());
    command.env("PATH", activated(&python()));
    let mut group = Group::start(command);
    group.wait_for(
        "user_agent",
        "Get value = {\"CommentAgent.example_rpc_handler\":1}",
        START,
    );
    group.wait_for("email_agent", "Catch emailer {\"text\":\"Comment\"", START);
    end(&mut group, ALL);
}
