//! Sending to a queue: payloads and options.

use std::time::Duration;

use microagent::{ErrorKind, prelude::*};

use super::{Diary, MAILER, broker, pass};

#[tokio::test(start_paused = true)]
async fn payloads_that_are_not_objects_and_invalid_names_are_refused_on_sending() {
    let broker = broker().await;
    let error = broker.send(MAILER, &json!([1, 2])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    assert!(
        error
            .to_string()
            .contains("must be a JSON object, but is `[1,2]`"),
        "{error}"
    );

    let error = broker
        .send(Queue::new("Mailer!"), &json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    let error = broker.queue("mailer").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_waits_and_headers_travel() {
    let (diary, broker) = (Diary::default(), broker().await);

    struct Reader(Diary);

    #[agent]
    impl Reader {
        #[consumer(MAILER)]
        async fn taken(&self, message: &Message) {
            self.0.write(message.header("trace").unwrap_or("none"));
        }
    }

    let agent = Agent::new(Reader(diary.clone()))
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    pass(Duration::from_secs(1)).await; // the consumer waits, and for nothing
    broker
        .send(MAILER, &json!({}))
        .header("trace", "t1")
        .delay(Duration::from_secs(600))
        .await
        .unwrap();
    pass(Duration::from_secs(599)).await;
    assert!(diary.read().is_empty());
    pass(Duration::from_secs(1)).await;
    assert_eq!(diary.read(), ["t1"]);
    agent.stop().await.unwrap();
}
