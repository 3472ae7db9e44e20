//! Calls between processes, which need only the bus: an answer is a signal, too.

mod responder;

use std::time::Duration;

use futures_util::future::join_all;
use microagent_core::{ErrorKind, SubscriberCount};

use self::responder::{Probe, respond};
use super::{BusServer, server::Fixture};

/// A call gets the first answer.
pub async fn a_call_gets_an_answer<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.bus().await, fixture.bus().await);
    let _agent = respond(&there, 1).await;
    let answer = fixture
        .limit
        .wait(
            "an answer",
            here.call("suite", Probe { n: 41 }).into_future(),
        )
        .await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.get::<i64>("Responder.probe").expect("a number"), 42);
}

/// An agent is called through its own bus as well.
pub async fn a_call_reaches_its_own_process<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let bus = fixture.bus().await;
    let _agent = respond(&bus, 1).await;
    let answer = fixture
        .limit
        .wait("an answer", bus.call("suite", Probe { n: 1 }).into_future())
        .await;
    assert_eq!(
        answer.expect("an answer").one::<i64>().expect("a number"),
        2
    );
}

/// A waiter receives the answer of every process.
pub async fn a_waiter_receives_from_every_process<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let here = fixture.bus().await;
    let others = [
        fixture.bus().await,
        fixture.bus().await,
        fixture.bus().await,
    ];
    let _agents = join_all(others.iter().zip(1..).map(|(bus, plus)| respond(bus, plus))).await;
    let waiting = here.waiter("suite", Probe { n: 10 }).into_future();
    let mut waiter = fixture
        .limit
        .wait("a waiter", waiting)
        .await
        .expect("a waiter");
    let mut values = Vec::new();
    for _ in &others {
        let answer = fixture.limit.wait("an answer", waiter.next()).await;
        values.push(answer.expect("an answer").one::<i64>().expect("a number"));
    }
    values.sort_unstable();
    assert_eq!(values, [11, 12, 13]);
}

/// A call without a receiver fails at once if the server counts subscribers, and by its timeout if it does not.
pub async fn a_call_without_a_receiver_fails<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, connection) = (fixture.bus().await, fixture.connect().await);
    let counts =
        connection.publish(&fixture.channel("probe:a"), "{}").await != SubscriberCount::Unknown;
    let timeout = if counts {
        S::EVENT_LIMIT
    } else {
        Duration::from_millis(200)
    };
    let call = here.call("suite", Probe { n: 1 }).timeout(timeout);
    let error = call.await.expect_err("nobody listens");
    let expected = if counts {
        ErrorKind::NoResponders
    } else {
        ErrorKind::Timeout
    };
    assert_eq!(error.kind(), expected, "{error}");
}

/// A call that is received and not answered ends with its timeout, and leaves no subscription behind.
pub async fn an_unanswered_call_times_out<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, connection) = (fixture.bus().await, fixture.connect().await);
    let mut listener = connection.listen(&fixture.channel("probe:*")).await;
    let call = here
        .call("suite", Probe { n: 1 })
        .timeout(Duration::from_millis(100));
    let error = call.await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(listener.next().await.channel.contains(":probe:suite#"));
    assert_eq!(here.call_counts(), (0, 0));
}

/// The failure of a receiver is the error of the caller, with the same text.
pub async fn a_remote_failure_is_reported<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.bus().await, fixture.bus().await);
    let _agent = respond(&there, 1).await;
    let answer = here
        .call("suite", Probe { n: -1 })
        .timeout(S::EVENT_LIMIT)
        .await
        .expect("an answer");
    let error = answer.get::<i64>("Responder.probe").expect_err("a failure");
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert_eq!(
        error.to_string(),
        "`Responder.probe` failed: a negative number"
    );
}

/// A receiver that answers nothing answers `null`.
pub async fn no_value_is_null<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.bus().await, fixture.bus().await);
    let _agent = respond(&there, 1).await;
    let answer = here
        .call("suite", Probe { n: 0 })
        .timeout(S::EVENT_LIMIT)
        .await
        .expect("an answer");
    assert_eq!(answer.to_string(), r#"{"Responder.probe":null}"#);
}

/// Concurrent calls of two processes each get their own answer.
pub async fn concurrent_calls_get_their_own_answers<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (one, other, there) = (
        fixture.bus().await,
        fixture.bus().await,
        fixture.bus().await,
    );
    let _agent = respond(&there, 1).await;
    let calls = (1..=50).flat_map(|n| [(&one, n), (&other, n + 1_000)]);
    let calls = calls.map(|(bus, n)| async move {
        let call = bus.call("suite", Probe { n }).timeout(S::EVENT_LIMIT);
        let answer = call.await.expect("an answer");
        assert_eq!(answer.one::<i64>().expect("a number"), n + 1);
    });
    join_all(calls).await;
    assert_eq!(
        one.call_counts(),
        (0, 0),
        "an answer of the other process was heard"
    );
}

/// A sender that a channel cannot contain is rejected before anything is sent.
pub async fn a_bad_sender_is_refused_before_sending<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (bus, connection) = (fixture.bus().await, fixture.connect().await);
    let mut listener = connection.listen(&fixture.channel("*")).await;
    for sender in ["a:b", "a#b", "a#b#c", "a\nb", ""] {
        let sent = bus.send(sender, Probe { n: 1 }).await;
        assert_eq!(sent.expect_err(sender).kind(), ErrorKind::InvalidName);
        let called = bus.call(sender, Probe { n: 1 }).await;
        assert_eq!(called.expect_err(sender).kind(), ErrorKind::InvalidName);
    }
    bus.send("good", Probe { n: 7 }).await.expect("a signal");
    listener
        .receives(&fixture.channel("probe:good"), br#"{"n":7}"#)
        .await;
}
