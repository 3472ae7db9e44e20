//! `queue length`: prints the number of messages in a queue, by state.

use microagent_core::{Broker, DEAD_LETTER_SUFFIX, Depth, Queue};
use serde::Serialize;

use super::named;
use crate::{
    cli::BrokerArgs,
    command::{print, print_text, source},
    exit::Failure,
};

/// The numbers of messages. Numbers that the driver does not know are left out.
#[derive(Debug, Serialize)]
struct Length {
    queue: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed: Option<u64>,
    /// Dead letters; absent for a queue that holds dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead: Option<u64>,
}

pub(super) async fn length(name: &str, json: bool, args: &BrokerArgs) -> Result<(), Failure> {
    let broker = source::broker(args).await?;
    let queue = named(&broker, name)?;
    let length = Length::of(
        &queue,
        broker.depth(&queue).await?,
        dead(&broker, &queue).await?,
    );
    if json {
        print(&length)?;
    } else {
        print_text(&length.to_line())?;
    }
    Ok(broker.close().await?)
}

async fn dead(broker: &Broker, queue: &Queue) -> microagent_core::Result<Option<u64>> {
    if queue.name().ends_with(DEAD_LETTER_SUFFIX) {
        return Ok(None);
    }
    broker
        .length(Queue::named(queue.dead_letter())?)
        .await
        .map(Some)
}

impl Length {
    fn of(queue: &Queue, depth: Depth, dead: Option<u64>) -> Self {
        Self {
            queue: queue.name().to_owned(),
            waiting: depth.waiting,
            in_flight: depth.in_flight,
            delayed: depth.delayed,
            dead,
        }
    }

    fn to_line(&self) -> String {
        let counts = [
            (self.waiting, "waiting"),
            (self.in_flight, "in flight"),
            (self.delayed, "delayed"),
            (self.dead, "dead"),
        ];
        let known: Vec<_> = counts
            .iter()
            .filter_map(|(count, state)| Some(format!("{} {state}", (*count)?)))
            .collect();
        known.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_the_driver_does_not_know_are_left_out() {
        let queue = Queue::new("mailer");
        let length = Length::of(&queue, Depth::of_waiting(2), Some(3));
        assert_eq!(length.to_line(), "2 waiting, 3 dead");
        assert_eq!(
            serde_json::to_string(&length).unwrap(),
            r#"{"queue":"mailer","waiting":2,"dead":3}"#
        );
    }
}
