//! Exchanges and topics: their effect if a driver has them, and their rejection if it does not.

use microagent_core::{Declarations, Queue, QueueBroker, Route, SendOptions};

use crate::{
    broker_suite::{
        BrokerServer,
        fixture::{Connection, Fixture, ack, new_queue},
    },
    suite::unique,
};

/// A message to an exchange reaches every queue that is bound to it, and no other; or the driver rejects it.
pub async fn exchanges_send_to_all_their_queues_or_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let here = fixture.connect().await;
    if !here.driver.caps().exchanges {
        let mut route = Route::from(new_queue());
        route.exchange = Some("events".to_owned());
        return here.refuses(route, SendOptions::default()).await;
    }
    let exchange = unique("x");
    let (one, other, outside) = (bound(&exchange, "[]"), bound(&exchange, "[]"), new_queue());
    for queue in [&one, &other, &outside] {
        here.declare(queue).await;
    }
    send(&here, &one, None, "{}").await;
    for queue in [&one, &other] {
        ack(here.consume(queue, 1).await.receives("{}").await).await;
    }
    here.is_empty(&outside).await;
}

/// A topic selects the queues whose patterns it matches; or the driver rejects it.
pub async fn topics_choose_the_queue_or_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let here = fixture.connect().await;
    if !here.driver.caps().exchanges {
        let mut route = Route::from(new_queue());
        route.topic = Some("mail.new".to_owned());
        return here.refuses(route, SendOptions::default()).await;
    }
    let exchange = unique("x");
    let (mails, all) = (
        bound(&exchange, r#"["mail.*"]"#),
        bound(&exchange, r##"["#"]"##),
    );
    for queue in [&mails, &all] {
        here.declare(queue).await;
    }
    send(&here, &mails, Some("push.new"), "push").await;
    send(&here, &mails, Some("mail.new"), "mail").await;
    let mail = here.consume(&mails, 1).await.receives("mail").await;
    assert_eq!(mail.message().topic(), Some("mail.new"));
    ack(mail).await;
    let mut consumer = here.consume(&all, 1).await;
    ack(consumer.receives("push").await).await;
    ack(consumer.receives("mail").await).await;
}

fn bound(exchange: &str, topics: &str) -> Queue {
    let name = new_queue();
    let file = format!(
        r#"{{"queues": [{{"name": "{name}", "exchange": "{exchange}", "topics": {topics}}}]}}"#
    );
    let declared = Declarations::parse(&file).expect("a declared queue");
    Queue::from(&declared.queues[0])
}

async fn send<B: QueueBroker>(
    connection: &Connection<B>,
    queue: &Queue,
    topic: Option<&str>,
    body: &'static str,
) {
    let mut route = Route::from(queue.clone());
    route.topic = topic.map(str::to_owned);
    let sent = connection
        .driver
        .send(&route, body.into(), SendOptions::default())
        .await;
    sent.expect("a message that is accepted");
}
