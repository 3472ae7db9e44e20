//! Exchanges and topics, where a driver has them.

use microagent_core::{Declarations, Queue, QueueBroker, Route, SendOptions};

use crate::{
    broker_suite::{
        BrokerServer,
        post::{Office, Post, ack, new_queue},
    },
    suite::{skipped, unique},
};

const NO_EXCHANGES: &str =
    "this driver has no exchanges; that they are refused is a clause of its own";

/// What is sent to an exchange reaches every queue that is bound to it, and no other.
pub async fn exchanges_send_to_all_their_queues<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let here = post.connect().await;
    if !here.driver.caps().exchanges {
        return skipped("exchanges_send_to_all_their_queues", NO_EXCHANGES);
    }
    let exchange = unique("x");
    let (one, other, outside) = (bound(&exchange, "[]"), bound(&exchange, "[]"), new_queue());
    for queue in [&one, &other, &outside] {
        here.driver.declare(queue).await.expect("a queue");
    }
    send(&here, &one, None, "{}").await;
    for queue in [&one, &other] {
        ack(here.consume(queue, 1).await.takes("{}").await).await;
    }
    here.is_empty(&outside).await;
}

/// A topic chooses the queues whose patterns it matches.
pub async fn topics_choose_the_queue<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let here = post.connect().await;
    if !here.driver.caps().exchanges {
        return skipped("topics_choose_the_queue", NO_EXCHANGES);
    }
    let exchange = unique("x");
    let (mails, all) = (
        bound(&exchange, r#"["mail.*"]"#),
        bound(&exchange, r##"["#"]"##),
    );
    for queue in [&mails, &all] {
        here.driver.declare(queue).await.expect("a queue");
    }
    send(&here, &mails, Some("push.new"), "push").await;
    send(&here, &mails, Some("mail.new"), "mail").await;
    ack(here.consume(&mails, 1).await.takes("mail").await).await;
    let mut consumer = here.consume(&all, 1).await;
    ack(consumer.takes("push").await).await;
    ack(consumer.takes("mail").await).await;
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
    office: &Office<B>,
    queue: &Queue,
    topic: Option<&str>,
    body: &'static str,
) {
    let mut route = Route::from(queue.clone());
    route.topic = topic.map(str::to_owned);
    let sent = office
        .driver
        .send(&route, body.into(), SendOptions::default())
        .await;
    sent.expect("a message that is accepted");
}
