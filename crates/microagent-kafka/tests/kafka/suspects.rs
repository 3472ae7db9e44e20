//! A process that dies with hundreds of messages in flight.

use futures_util::{FutureExt, StreamExt};
use microagent_core::{QueueBroker, Settlement};

use crate::support::{
    connect, shared,
    steps::{body, consume, declare, length_becomes, next, queue, send},
};

/// Each of many suspects runs alone. If a process dies in a series of them, nobody knows which one has killed it: none is counted,
/// and each runs under a promise of its own then.
pub(crate) async fn many_suspects_run_alone_and_only_the_killer_is_counted() {
    const ALL: usize = 300;
    const KILLER: usize = 50;
    let dsn = shared().await.unwrap().dsn();
    let queue = queue("many_suspects");
    let first = connect(&dsn).await.unwrap();
    declare(&first, &queue, 1).await;
    let sending = (0..ALL).map(|n| send(&first, &queue, n.to_string(), None));
    for send in sending {
        send.await;
    }
    let stream = consume(&first, &queue, ALL).await;
    let held: Vec<_> = stream.take(ALL).collect().await;
    first.crash().await;
    drop(held);

    let second = connect(&dsn).await.unwrap();
    let mut stream = consume(&second, &queue, ALL).await;
    for n in 0..KILLER {
        let suspect = next(&mut stream).await;
        assert_eq!(
            (body(&suspect), suspect.message().crashes()),
            (n.to_string(), 1)
        );
        assert!(stream.next().now_or_never().is_none(), "{n} is not alone");
        suspect.ack().await.unwrap();
    }
    let killer = next(&mut stream).await;
    assert_eq!(
        (body(&killer), killer.message().crashes()),
        (KILLER.to_string(), 1)
    );
    second.crash().await;
    drop(killer);

    let third = connect(&dsn).await.unwrap();
    let mut stream = consume(&third, &queue, ALL).await;
    let killer = next(&mut stream).await;
    assert_eq!(
        (body(&killer), killer.message().crashes()),
        (KILLER.to_string(), 1)
    );
    third.crash().await;
    drop(killer);

    let fourth = connect(&dsn).await.unwrap();
    let mut stream = consume(&fourth, &queue, ALL).await;
    for n in KILLER..ALL {
        let suspect = next(&mut stream).await;
        let crashes = if n == KILLER { 2 } else { 1 };
        assert_eq!(
            (body(&suspect), suspect.message().crashes()),
            (n.to_string(), crashes)
        );
        assert!(stream.next().now_or_never().is_none(), "{n} is not alone");
        drop(suspect.settle(Settlement::Ack));
    }
    length_becomes(&fourth, &queue, 0).await;
    fourth.close().await.unwrap();
}
