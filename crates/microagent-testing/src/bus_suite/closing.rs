//! The end of a connection: closed, dropped or cut.

use microagent_core::{BusEvent, ErrorKind, SubscriberCount};

use super::{
    BusServer,
    server::{Fixture, Listener},
};
use crate::{Cut, suite::eventually};

/// `close` ends the streams of the connection, after the events that had arrived.
pub async fn close_ends_the_streams<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let mut listeners = [
        connection.listen(&fixture.channel("s:*")).await,
        connection.listen(&fixture.channel("t:*")).await,
    ];
    connection.driver.close().await.expect("a close");
    for listener in &mut listeners {
        assert_eq!(listener.event().await, None);
    }
}

/// Each method of a closed connection fails with `Closed`.
pub async fn a_closed_bus_says_so<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let driver = fixture.connect().await.driver;
    driver.close().await.expect("a close");
    let channel = fixture.channel("s:a");
    let kinds = [
        driver.publish(&channel, "{}".into()).await.err(),
        driver.subscribe(&channel).await.err(),
        driver.ready().await.err(),
    ];
    for error in kinds {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Closed));
    }
}

/// Closing twice, also at the same time, succeeds.
pub async fn closing_twice_is_harmless<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let (one, other) = tokio::join!(connection.driver.close(), connection.driver.close());
    one.and(other).expect("a close");
    connection.driver.close().await.expect("a third close");
}

/// The end of one connection does not change the others.
pub async fn closing_one_leaves_the_others<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (closed, open) = (fixture.connect().await, fixture.connect().await);
    let channel = fixture.channel("s:a");
    let mut listener = open.listen(&channel).await;
    let _other = closed.listen(&channel).await;
    closed.driver.close().await.expect("a close");
    open.publish(&channel, "1").await;
    listener.receives(&channel, b"1").await;
}

/// A bus that was dropped without a close no longer has subscriptions, if the server counts them.
pub async fn a_dropped_stream_and_bus_listen_no_more<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (dropped, open) = (fixture.connect().await, fixture.connect().await);
    let channel = fixture.channel("s:a");
    let mut listener = open.listen(&channel).await;
    drop((dropped.listen(&channel).await, dropped));
    open.publish(&channel, "1").await;
    listener.receives(&channel, b"1").await;
    if open.publish(&channel, "2").await != SubscriberCount::Unknown {
        // No event reports that a server has processed the end of a connection.
        let publish = || open.publish(&channel, "3");
        eventually(
            fixture.limit,
            "the number of receivers",
            SubscriberCount::Counted(1),
            publish,
        )
        .await;
    }
}

/// A subscription yields a loss when its connection is cut and, when it is live again, a gap; then it receives again. A driver
/// without a connection reports neither, and continues.
pub async fn a_cut_connection_is_reported_and_restored<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let channel = fixture.channel("s:a");
    let mut listener = connection.listen(&channel).await;
    match fixture.server.cut().await.expect("a cut") {
        Cut::Done => reports_the_cut(&mut listener).await,
        Cut::NoConnection => listener.is_quiet().await,
    }
    let ready = fixture
        .limit
        .wait("the connection", connection.driver.ready())
        .await;
    ready.expect("a connection that is restored");
    connection.publish(&channel, "after").await;
    listener.receives(&channel, b"after").await;
}

async fn reports_the_cut(listener: &mut Listener) {
    let lost = listener.event().await;
    assert!(
        matches!(lost, Some(BusEvent::Lost(_))),
        "expected a loss, got {lost:?}"
    );
    let gap = listener.event().await;
    assert!(
        matches!(gap, Some(BusEvent::Gap(_))),
        "expected a gap, got {gap:?}"
    );
}
