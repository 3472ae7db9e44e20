//! How a connection ends: by its own hand, and by accident.

use microagent_core::{BusEvent, ErrorKind, SubscriberCount};

use super::{
    BusServer,
    server::{Listener, Radio},
};
use crate::{Cut, suite::eventually};

/// Closing ends the streams of the connection, after what had been heard.
pub async fn close_ends_the_streams<S: BusServer>(server: S) {
    let radio = Radio::of(server);
    let station = radio.connect().await;
    let mut listeners = [
        station.listen(&radio.channel("s:*")).await,
        station.listen(&radio.channel("t:*")).await,
    ];
    station.driver.close().await.expect("a close");
    for listener in &mut listeners {
        assert_eq!(listener.event().await, None);
    }
}

/// A closed connection says that it is closed, whatever is asked of it.
pub async fn a_closed_bus_says_so<S: BusServer>(server: S) {
    let radio = Radio::of(server);
    let driver = radio.connect().await.driver;
    driver.close().await.expect("a close");
    let channel = radio.channel("s:a");
    let kinds = [
        driver.publish(&channel, "{}".into()).await.err(),
        driver.subscribe(&channel).await.err(),
        driver.ready().await.err(),
    ];
    for error in kinds {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Closed));
    }
}

/// Closing twice, also at the same time, is harmless.
pub async fn closing_twice_is_harmless<S: BusServer>(server: S) {
    let radio = Radio::of(server);
    let station = radio.connect().await;
    let (one, other) = tokio::join!(station.driver.close(), station.driver.close());
    one.and(other).expect("a close");
    station.driver.close().await.expect("a third close");
}

/// The end of one connection is nothing to the others.
pub async fn closing_one_leaves_the_others<S: BusServer>(server: S) {
    let radio = Radio::of(server);
    let (closed, open) = (radio.connect().await, radio.connect().await);
    let channel = radio.channel("s:a");
    let mut listener = open.listen(&channel).await;
    let _other = closed.listen(&channel).await;
    closed.driver.close().await.expect("a close");
    open.publish(&channel, "1").await;
    listener.hears(&channel, b"1").await;
}

/// A bus that was dropped without a close listens no more, where that can be counted.
pub async fn a_dropped_stream_and_bus_listen_no_more<S: BusServer>(server: S) {
    let radio = Radio::of(server);
    let (dropped, open) = (radio.connect().await, radio.connect().await);
    let channel = radio.channel("s:a");
    let mut listener = open.listen(&channel).await;
    drop((dropped.listen(&channel).await, dropped));
    open.publish(&channel, "1").await;
    listener.hears(&channel, b"1").await;
    if open.publish(&channel, "2").await != SubscriberCount::Unknown {
        // No event tells that a server has taken notice of an end.
        let publish = || open.publish(&channel, "3");
        eventually(
            radio.patience,
            "the number of receivers",
            SubscriberCount::Counted(1),
            publish,
        )
        .await;
    }
}

/// A connection that was cut is told as lost and, when the subscription is live again, as a gap; then it hears again. A driver
/// without a connection tells of neither, and goes on hearing.
pub async fn a_cut_connection_is_told_and_healed<S: BusServer>(server: S) {
    let radio = Radio::of(server);
    let station = radio.connect().await;
    let channel = radio.channel("s:a");
    let mut listener = station.listen(&channel).await;
    match radio.server.cut().await.expect("a cut") {
        Cut::Done => tells_of_the_cut(&mut listener).await,
        Cut::NoConnection => listener.is_quiet().await,
    }
    let ready = radio
        .patience
        .wait("the connection", station.driver.ready())
        .await;
    ready.expect("a connection that is healed");
    station.publish(&channel, "after").await;
    listener.hears(&channel, b"after").await;
}

async fn tells_of_the_cut(listener: &mut Listener) {
    let lost = listener.event().await;
    assert!(
        matches!(lost, Some(BusEvent::Lost(_))),
        "a loss was to be told, not {lost:?}"
    );
    let gap = listener.event().await;
    assert!(
        matches!(gap, Some(BusEvent::Gap(_))),
        "a gap was to be told, not {gap:?}"
    );
}
