//! Beside the real Python package, on one server and with one `signals.json`: signals, calls and queues, both ways.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod peer;
mod rust_agent;
mod scene;

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{
    Agent, ConsumeOptions, ErrorKind,
    status::{StatusWatch, WatchEvent},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::{
    rust_agent::{Double, Relay, TO_PYTHON, TO_RUST, TWICE},
    scene::{scene, until},
};

microagent_testing::needs! {
    redis + python {
        async fn signals_arrive_as_they_were_sent,
        async fn a_sender_with_the_characters_of_patterns_reaches_python,
        async fn python_receives_nothing_of_the_status_of_agents,
        async fn a_rust_caller_hears_python,
        async fn a_call_made_in_a_receiver_reaches_python_although_its_id_names_the_chain,
        async fn a_python_caller_hears_rust,
        async fn a_waiter_hears_both,
        async fn a_python_caller_without_a_listener_times_out_and_a_rust_one_is_told,
        async fn line_16_rust_handles_what_python_pushed,
        async fn line_16_python_handles_what_rust_sent,
    }
}

/// The time that one call may take.
const CALL: Duration = Duration::from_secs(10);

/// The receivers of one side, and the answers to calls of the Python side.
const RECEIVERS: usize = 5 + 1;

fn difficult() -> Value {
    json!({"text": "é ☃ \u{1F600} \"\\", "number": -1.5e-7, "nothing": null, "list": [1, {"a": [true, "b"]}]})
}

async fn signals_arrive_as_they_were_sent() {
    let scene = scene().await;
    assert_eq!(scene.bus.prefix(), "INTEROP", "as the declarations say");
    let agent = scene.rust_agent().await;
    let mut python = scene.python("receive").await;
    scene.wait_for_patterns(RECEIVERS).await;

    let note = scene.bus.signal("note").unwrap();
    note.send("rust_agent", &difficult()).await.unwrap();
    until("python to hear", async || {
        let received = python.ask(json!(["heard"])).await;
        received == json!([["rust_agent", difficult()]])
    })
    .await;

    python
        .ask(json!(["send", "note", "python_agent", difficult()]))
        .await;
    until("the agent to hear", async || {
        let received = agent.agent().received.lock().unwrap();
        received.contains(&("python_agent".to_owned(), difficult()))
    })
    .await;
    agent.stop().await.unwrap();
}

async fn python_receives_nothing_of_the_status_of_agents() {
    let scene = scene().await;
    let agent = scene.rust_agent().await;
    let mut python = scene.python("receive").await;
    scene.wait_for_patterns(RECEIVERS).await;
    let mut watch = StatusWatch::open(&scene.connect().await).await.unwrap();
    until("the agent to be listed", async || {
        watch.agents().await.unwrap().len() == 1
    })
    .await;
    watch.ask().await.unwrap();
    for _ in 0..3 {
        let answer = timeout(CALL, watch.next()).await.unwrap();
        assert!(matches!(answer, Some(WatchEvent::Answer(_))), "{answer:?}");
    }
    let note = scene.bus.signal("note").unwrap();
    note.send("rust_agent", &json!({"text": "last"}))
        .await
        .unwrap();
    until("python to receive the signal", async || {
        let channels = python.ask(json!(["channels"])).await;
        assert!(!channels.to_string().contains("status"), "{channels}");
        channels == json!(["INTEROP:note:rust_agent"])
    })
    .await;
    agent.stop().await.unwrap();
}

async fn a_sender_with_the_characters_of_patterns_reaches_python() {
    let scene = scene().await;
    let mut python = scene.python("receive").await;
    scene.wait_for_patterns(RECEIVERS).await;
    let senders = ["a*b", "a?b", "web[1]", "a\\b", "é"];
    let (note, double) = (
        scene.bus.signal("note").unwrap(),
        scene.bus.signal("double").unwrap(),
    );
    for sender in senders {
        note.send(sender, &difficult()).await.unwrap();
        let call = double.call(sender, &json!({"n": 21})).timeout(CALL);
        assert_eq!(call.await.unwrap().one::<u64>().unwrap(), 42, "{sender}");
    }
    until("python to hear", async || {
        let received = python.ask(json!(["heard"])).await;
        received == json!(senders.map(|sender| json!([sender, difficult()])))
    })
    .await;
    for sender in ["a:b", "a#b", "a#b#c"] {
        let refused = note.send(sender, &difficult()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidName, "{sender}");
    }
}

async fn a_rust_caller_hears_python() {
    let scene = scene().await;
    let _python = scene.python("receive").await;
    scene.wait_for_patterns(RECEIVERS).await;
    let call = async |name: &str, args: Value| {
        let signal = scene.bus.signal(name).unwrap();
        signal
            .call("rust_agent", &args)
            .timeout(CALL)
            .await
            .unwrap()
    };
    let doubled = call("double", json!({"n": 21})).await;
    assert_eq!(doubled.get::<u64>("PythonAgent.double").unwrap(), 42);
    assert_eq!(doubled.one::<u64>().unwrap(), 42);
    // Python says `null` for all of these: what failed there is not told.
    for name in ["nothing", "fail", "sleep"] {
        let answer = call(name, json!({})).await;
        assert!(!answer.has_errors(), "{answer:?}");
        let value: Option<u64> = answer.get(&format!("PythonAgent.{name}")).unwrap();
        assert_eq!(value, None);
    }
}

async fn a_call_made_in_a_receiver_reaches_python_although_its_id_names_the_chain() {
    let scene = scene().await;
    let _python = scene.python("receive").await;
    scene.wait_for_patterns(RECEIVERS).await;
    let relay = Agent::new(Relay::default()).bus(scene.bus.clone());
    let relay = relay.start().await.unwrap();
    let note = scene.bus.signal("note").unwrap();
    let mut answers = note
        .waiter("test", &difficult())
        .timeout(CALL)
        .await
        .unwrap();
    while let Some(answer) = answers.next().await {
        assert!(!answer.has_errors(), "{answer:?}");
    }
    assert_eq!(
        answers.answered(),
        2,
        "Python has answered, and so has the relay"
    );
    assert_eq!(*relay.agent().doubled.lock().unwrap(), [42]);
    relay.stop().await.unwrap();
}

async fn a_python_caller_hears_rust() {
    let scene = scene().await;
    let agent = scene.rust_agent().await;
    let mut python = scene.python("none").await;
    scene.wait_for_patterns(RECEIVERS).await;
    let mut call = async |name: &str, args: Value| {
        python
            .ask(json!(["call", name, "python_agent", 10, args]))
            .await
    };
    assert_eq!(
        call("double", json!({"n": 21})).await,
        json!({"RustAgent.double": 42})
    );
    assert_eq!(
        call("nothing", json!({})).await,
        json!({"RustAgent.nothing": null})
    );
    let failed = json!({"RustAgent.fail": null, "$errors": {"RustAgent.fail": "no luck"}});
    assert_eq!(call("fail", json!({})).await, failed);
    let timed_out = call("sleep", json!({})).await;
    assert_eq!(timed_out["RustAgent.sleep"], Value::Null);
    assert!(
        timed_out["$errors"]["RustAgent.sleep"].is_string(),
        "{timed_out}"
    );
    agent.stop().await.unwrap();
}

async fn a_waiter_hears_both() {
    let scene = scene().await;
    let agent = scene.rust_agent().await;
    let mut python = scene.python("receive").await;
    scene.wait_for_patterns(RECEIVERS).await;
    let both = ["PythonAgent.double", "RustAgent.double"];

    let caller = scene.connect().await;
    let double = caller.signal("double").unwrap();
    let waiter = double.waiter("rust_agent", &json!({"n": 4})).timeout(CALL);
    let answers: Vec<_> = waiter.await.unwrap().collect().await;
    let mut receivers: Vec<_> = answers
        .iter()
        .flat_map(microagent_core::Answer::receivers)
        .collect();
    receivers.sort_unstable();
    assert_eq!(receivers, both, "and no more, for two had heard it");
    assert!(
        answers
            .iter()
            .all(|answer| answer.one::<u64>().unwrap() == 8)
    );

    let answers = python
        .ask(json!(["waiter", "double", "python_agent", 2, {"n": 4}]))
        .await;
    let answers = answers.as_array().unwrap();
    for receiver in both {
        assert!(
            answers.iter().any(|answer| answer[receiver] == 8),
            "{answers:?}"
        );
    }
    agent.stop().await.unwrap();
}

async fn a_python_caller_without_a_listener_times_out_and_a_rust_one_is_told() {
    let scene = scene().await;
    let mut python = scene.python("none").await;
    scene.wait_for_patterns(1).await;
    let answer = python
        .ask(json!(["call", "double", "python_agent", 1, {"n": 1}]))
        .await;
    assert_eq!(answer, json!({}), "as it ends at its timeout");
    let called = scene.bus.call("rust_agent", Double {}).timeout(CALL).await;
    assert_eq!(called.unwrap_err().kind(), ErrorKind::NoResponders);
}

async fn line_16_rust_handles_what_python_pushed() {
    let scene = scene().await;
    let mut python = scene.python("none").await;
    let bodies: Vec<Value> = (0..1000)
        .map(|n| json!({"n": n, "difficult": difficult()}))
        .collect();
    python.ask(json!(["push", "to_rust", bodies])).await;
    assert_eq!(python.ask(json!(["length", "to_rust"])).await, 1000);
    assert_eq!(scene.broker.length(TO_RUST).await.unwrap(), 1000);

    let agent = scene.rust_agent().await;
    until("all to be handled", async || {
        agent.agent().taken.lock().unwrap().len() == 1000
    })
    .await;
    let mut taken = std::mem::take(&mut *agent.agent().taken.lock().unwrap());
    taken.sort_by_key(|(body, _)| body["n"].as_u64());
    let expected: Vec<_> = bodies.into_iter().map(|body| (body, 1)).collect();
    assert_eq!(taken, expected);
    until("the queue to be empty", async || {
        python.ask(json!(["length", "to_rust"])).await == 0
    })
    .await;

    python.ask(json!(["push", "twice", [{"n": 1}]])).await;
    until("the retry", async || {
        agent.agent().taken.lock().unwrap().len() == 2
    })
    .await;
    let taken = agent.agent().taken.lock().unwrap().clone();
    assert_eq!(taken, [(json!({"n": 1}), 1), (json!({"n": 1}), 2)]);
    agent.stop().await.unwrap();
}

async fn line_16_python_handles_what_rust_sent() {
    let scene = scene().await;
    let mut python = scene.python("consume").await;
    for n in 0..100 {
        let body = json!({"n": n, "difficult": difficult()});
        scene.broker.send(TO_PYTHON, &body).await.unwrap();
    }
    // Each comes back from there, and what python leaves of it is what was sent.
    let driver = scene.broker.driver();
    let mut back = driver
        .consume(&TO_RUST, ConsumeOptions::default())
        .await
        .unwrap();
    for _ in 0..100 {
        let delivery = tokio::time::timeout(CALL, back.next())
            .await
            .unwrap()
            .unwrap();
        let body: Value = serde_json::from_slice(delivery.message().payload()).unwrap();
        assert_eq!(body["difficult"], difficult());
        delivery.ack().await.unwrap();
    }
    python.ask(json!(["forget"])).await;
    scene.broker.send(TWICE, &json!({"n": 1})).await.unwrap();
    until("python's own retry", async || {
        python.ask(json!(["taken"])).await == json!([{"n": 1}, {"n": 1}])
    })
    .await;
}
