//! Subscriptions: which signals each receives, and the number of receivers.

use futures_util::future::join_all;
use microagent_core::{ErrorKind, SubscriberCount};

use super::{
    BusServer,
    server::{Fixture, Listener},
};
use crate::suite::eventually;

/// A subscription receives every signal that is published after `subscribe` has returned.
pub async fn a_subscription_is_live_when_it_returns<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    for round in 0..20 {
        let channel = fixture.channel(&format!("round_{round}:a"));
        let mut listener = here.listen(&channel.replace(":a", ":*")).await;
        there.publish(&channel, "{}").await;
        listener.receives(&channel, b"{}").await;
    }
}

/// Each subscription receives a message once: several of one connection, one of the publisher's own, one of another process.
pub async fn every_subscriber_receives_once_its_own_process_included<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let pattern = fixture.channel("s:*");
    let mut listeners = [
        here.listen(&pattern).await,
        here.listen(&pattern).await,
        there.listen(&pattern).await,
    ];
    here.publish(&fixture.channel("s:a"), "1").await;
    here.publish(&fixture.channel("s:b"), "2").await;
    for listener in &mut listeners {
        listener.receives(&fixture.channel("s:a"), b"1").await;
        listener.receives(&fixture.channel("s:b"), b"2").await;
        listener.is_quiet().await;
    }
}

/// Subscriptions of one connection whose patterns overlap receive the message once each.
pub async fn overlapping_patterns_receive_once_each<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let channel = fixture.channel("s:a");
    let mut listeners = [
        connection.listen(&channel).await,
        connection.listen(&fixture.channel("s:*")).await,
        connection.listen(&fixture.channel("*")).await,
    ];
    connection.publish(&channel, "1").await;
    for listener in &mut listeners {
        listener.receives(&channel, b"1").await;
        listener.is_quiet().await;
    }
}

/// `*` matches any text, also `:` and `#`: a receiver gets calls, too.
pub async fn a_star_spans_colons_and_hashes<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let mut listener = connection.listen(&fixture.channel("s:*")).await;
    for rest in ["s:a", "s:a#t-1", "s:a:b#1#2", "s:é.>"] {
        let channel = fixture.channel(rest);
        connection.publish(&channel, "{}").await;
        listener.receives(&channel, b"{}").await;
    }
}

/// A pattern with text after its star receives only channels with that end: a bus receives the answers to its own calls only.
pub async fn a_star_in_the_middle_keeps_what_follows<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let mut listener = connection
        .listen(&fixture.channel("response:*#mine-*"))
        .await;
    for rest in ["response:uid#other-1", "response:uid#mine", "s:uid#mine-1"] {
        connection.publish(&fixture.channel(rest), "foreign").await;
    }
    let own = fixture.channel("response:uid#mine-1");
    connection.publish(&own, "own").await;
    listener.receives(&own, b"own").await;
}

/// A pattern without a star receives one channel, and none that only begins or ends like it.
pub async fn an_exact_pattern_receives_one_channel<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connection = fixture.connect().await;
    let channel = fixture.channel("s:a");
    let mut listener = connection.listen(&channel).await;
    for rest in ["s:ab", "s:a#t-1", "s:b", "ss:a"] {
        connection.publish(&fixture.channel(rest), "foreign").await;
    }
    connection.publish(&channel, "own").await;
    listener.receives(&channel, b"own").await;
}

/// Signals of another deployment, and signals whose name only begins alike, are not received.
pub async fn foreign_prefixes_and_signals_are_not_received<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let mut listener = here.listen(&fixture.channel("user_created:*")).await;
    there
        .publish(&format!("{}x:user_created:a", fixture.prefix), "foreign")
        .await;
    there
        .publish(&format!("x{}:user_created:a", fixture.prefix), "foreign")
        .await;
    there
        .publish(&fixture.channel("user_created_not:a"), "foreign")
        .await;
    let own = fixture.channel("user_created:a");
    there.publish(&own, "own").await;
    listener.receives(&own, b"own").await;
}

/// The messages of a publisher are received in the order in which they were sent.
pub async fn one_publisher_is_received_in_order<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let channel = fixture.channel("s:a");
    let mut listener = here.listen(&fixture.channel("s:*")).await;
    for n in 0..1_000 {
        there.publish(&channel, n.to_string()).await;
    }
    for n in 0..1_000 {
        listener.receives(&channel, n.to_string().as_bytes()).await;
    }
}

/// `publish` returns the number of subscribers, also zero, or `Unknown`.
pub async fn receivers_are_counted_or_unknown<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connections = [
        fixture.connect().await,
        fixture.connect().await,
        fixture.connect().await,
    ];
    let channel = fixture.channel("s:a");
    let count = connections[2].publish(&channel, "{}").await;
    assert!(
        matches!(
            count,
            SubscriberCount::Counted(0) | SubscriberCount::Unknown
        ),
        "without subscribers: {count:?}"
    );

    let pattern = fixture.channel("s:*");
    let listeners = [
        connections[0].listen(&pattern).await,
        connections[1].listen(&pattern).await,
    ];
    let count = connections[2].publish(&channel, "{}").await;
    assert!(
        matches!(
            count,
            SubscriberCount::Counted(2) | SubscriberCount::Unknown
        ),
        "with two subscribers: {count:?}"
    );

    drop(listeners);
    if count != SubscriberCount::Unknown {
        // No event reports that a server has processed an unsubscription.
        let publish = || connections[2].publish(&channel, "{}");
        eventually(
            fixture.limit,
            "the number of receivers",
            SubscriberCount::Counted(0),
            publish,
        )
        .await;
    }
}

/// `subscribed` lists the channels with a subscription of their own by the beginning of their name, whoever has subscribed, and
/// as long as the subscription exists; or it is not supported.
pub async fn channels_are_listed_by_their_head<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let head = fixture.channel("a?:agent#");
    if let Err(error) = there.driver.subscribed(&head).await {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let address = there.driver.address();
        return assert!(error.to_string().contains(&address), "{error}");
    }
    let list = || async {
        let channels = there.driver.subscribed(&head).await;
        let mut channels = channels.expect("the channels with a subscription");
        channels.sort();
        channels
    };
    // A pattern, and channels that begin otherwise.
    let others = ["a?:agent#*", "a?:agents#a", "ab:agent#a"].map(|rest| fixture.channel(rest));
    let others = join_all(others.iter().map(|channel| here.listen(channel))).await;
    assert_eq!(list().await, [""; 0]);
    let names = ["1", r"2/%2a?[b]\"].map(|name| format!("{head}{name}"));
    let first = here.listen(&names[0]).await;
    let again = there.listen(&names[0]).await;
    let mut second = here.listen(&names[1]).await;
    assert_eq!(list().await, names);
    there.publish(&names[1], "1").await;
    second.receives(&names[1], b"1").await;

    drop((first, second));
    // No event reports that a server has processed an unsubscription.
    eventually(
        fixture.limit,
        "the first channel",
        vec![names[0].clone()],
        list,
    )
    .await;
    drop((again, others));
    eventually(fixture.limit, "no channel", Vec::new(), list).await;
}

/// A dropped subscription ends, the others continue, and a new one with the same pattern receives only new signals.
pub async fn dropping_a_subscription_ends_it_alone<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let (channel, pattern) = (fixture.channel("s:a"), fixture.channel("s:*"));
    let (dropped, mut kept) = (here.listen(&pattern).await, here.listen(&pattern).await);
    drop(dropped);
    there.publish(&channel, "1").await;
    kept.receives(&channel, b"1").await;

    let mut fresh = here.listen(&pattern).await;
    there.publish(&channel, "2").await;
    fresh.receives(&channel, b"2").await;
    kept.receives(&channel, b"2").await;
}

/// A subscription that is not read does not stop another one of its connection, or the publisher.
pub async fn a_slow_reader_stops_nobody<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let (channel, pattern) = (fixture.channel("s:a"), fixture.channel("s:*"));
    let slow = here.listen(&pattern).await;
    let mut quick = here.listen(&pattern).await;
    let body = "x".repeat(200);
    for n in 0..5_000 {
        there.publish(&channel, format!("{n}{body}")).await;
        if n % 100 == 99 {
            for n in n - 99..=n {
                quick
                    .receives(&channel, format!("{n}{body}").as_bytes())
                    .await;
            }
        }
    }
    let own = here.publish(&fixture.channel("other:a"), "{}").await;
    assert!(
        matches!(own, SubscriberCount::Counted(0) | SubscriberCount::Unknown),
        "{own:?}"
    );
    drop(slow);
}

/// Many subscriptions of many processes each receive all messages.
pub async fn a_big_fan_out_reaches_everyone<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let connections = join_all((0..5).map(|_| fixture.connect())).await;
    let pattern = fixture.channel("s:*");
    let subscribing = connections
        .iter()
        .flat_map(|connection| (0..10).map(|_| connection.listen(&pattern)));
    let mut listeners = join_all(subscribing).await;
    let channel = fixture.channel("s:a");
    for n in 0..20 {
        connections[0].publish(&channel, n.to_string()).await;
    }
    for listener in &mut listeners {
        for n in 0..20 {
            listener.receives(&channel, n.to_string().as_bytes()).await;
        }
    }
}

/// All messages of concurrent publishers are received, those of each publisher in their order.
pub async fn concurrent_publishers_lose_nothing<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    let mut listener = here.listen(&fixture.channel("s:*")).await;
    let publishers = (0..8).map(|who| {
        let (connection, channel) = (
            if who % 2 == 0 { &here } else { &there },
            fixture.channel(&format!("s:{who}")),
        );
        async move {
            for n in 0..50 {
                connection.publish(&channel, n.to_string()).await;
            }
        }
    });
    tokio::join!(join_all(publishers), all_in_order(&mut listener, 8, 50));
}

async fn all_in_order(listener: &mut Listener, publishers: usize, each: usize) {
    let mut next = std::collections::HashMap::new();
    for _ in 0..publishers * each {
        let message = listener.next().await;
        let expected = next.entry(message.channel.clone()).or_insert(0);
        assert_eq!(
            message.payload,
            expected.to_string(),
            "on {}",
            message.channel
        );
        *expected += 1;
    }
    listener.is_quiet().await;
}
