//! The one place that decides what happens to a message after its handler, for all drivers.

use tracing::error;

use super::run::End;
use crate::{Advice, ConsumerOptions, DeadLetter, DeadReason, Message, delivery::Settlement};

/// What a run's end makes of its message.
pub(crate) fn of_run<T>(end: &End<T>, message: &Message, options: &ConsumerOptions) -> Settlement {
    let (reason, advice) = match end {
        End::Done(_) => return Settlement::Ack,
        End::Abandoned => return abandoned(),
        End::Undecodable(_) => (DeadReason::Undecodable, Advice::Terminal),
        End::Failed(error) if error.advice() == Advice::Terminal => {
            (DeadReason::Terminal, Advice::Terminal)
        }
        End::Failed(error) => (DeadReason::Failed, error.advice()),
        End::TimedOut(_) => (DeadReason::Timeout, Advice::Retry),
        End::Panicked(_) => (DeadReason::Panic, Advice::Retry),
    };
    let detail = end.failure().unwrap_or_default();
    let by_policy = options.retry.delay_after(message.attempt());
    let after = match (advice, by_policy) {
        (Advice::Terminal, _) | (_, None) => {
            return buried(message, options, reason, detail);
        }
        (Advice::RetryAfter(asked), Some(_)) => asked,
        (Advice::Retry, Some(delay)) => delay,
    };
    Settlement::Retry {
        after,
        reason: detail,
    }
}

/// What becomes of a message that was in flight at so many deaths of its consumers; `None` lets it run.
pub(crate) fn of_crashes(message: &Message, options: &ConsumerOptions) -> Option<Settlement> {
    let crashes = message.crashes();
    if crashes < options.max_crashes {
        return None;
    }
    let detail = format!("its consumer died {crashes} times while handling it");
    Some(buried(message, options, DeadReason::Crash, detail))
}

/// What a delivery that nobody settled becomes.
pub(crate) fn abandoned() -> Settlement {
    Settlement::Return
}

fn buried(
    message: &Message,
    options: &ConsumerOptions,
    reason: DeadReason,
    detail: String,
) -> Settlement {
    match dead_letter_queue(message, options) {
        Some(queue) => Settlement::DeadLetter {
            queue,
            reason,
            detail,
        },
        None => {
            let body = super::excerpt(message.payload());
            error!(queue = message.queue(), %reason, detail, body, "message dropped: the consumer has no dead letters");
            Settlement::Ack
        }
    }
}

/// The queue that keeps a message which cannot be handled.
pub(crate) fn dead_letter_queue(message: &Message, options: &ConsumerOptions) -> Option<String> {
    match &options.dead_letter {
        DeadLetter::OwnQueue => Some(format!("{}{}", message.queue(), crate::DEAD_LETTER_SUFFIX)),
        DeadLetter::Queue(name) => Some(name.clone().into_owned()),
        DeadLetter::None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Error;

    fn failed(error: Error) -> End<()> {
        End::Failed(error)
    }

    fn attempt(n: u32) -> Message {
        Message::new("mailer", "{}").with_attempt(n)
    }

    #[test]
    fn a_failure_is_retried_three_times_with_growing_delays_and_then_parked() {
        let options = ConsumerOptions::default();
        let delays: Vec<_> = (1..=4)
            .map(|n| of_run(&failed("no".into()), &attempt(n), &options))
            .collect();
        let retry = |secs| Settlement::Retry {
            after: Duration::from_secs(secs),
            reason: "no".into(),
        };
        assert_eq!(delays[..3], [retry(1), retry(4), retry(9)]);
        let parked = Settlement::DeadLetter {
            queue: "mailer.dead".into(),
            reason: DeadReason::Failed,
            detail: "no".into(),
        };
        assert_eq!(delays[3], parked);
    }

    #[test]
    fn terminal_and_undecodable_are_parked_at_once() {
        let options = ConsumerOptions::default();
        for (end, expected) in [
            (failed(Error::terminal("no")), DeadReason::Terminal),
            (End::Undecodable("no".into()), DeadReason::Undecodable),
        ] {
            let settlement = of_run(&end, &attempt(1), &options);
            assert!(
                matches!(settlement, Settlement::DeadLetter { reason, .. } if reason == expected)
            );
        }
    }

    #[test]
    fn retry_after_changes_the_delay_and_not_the_limit() {
        let options = ConsumerOptions::default();
        let error =
            || failed(Error::from("busy").with_advice(Advice::RetryAfter(Duration::from_secs(60))));
        let first = of_run(&error(), &attempt(1), &options);
        assert_eq!(
            first,
            Settlement::Retry {
                after: Duration::from_secs(60),
                reason: "busy".into()
            }
        );
        assert!(matches!(
            of_run(&error(), &attempt(4), &options),
            Settlement::DeadLetter { .. }
        ));
    }

    #[test]
    fn without_dead_letters_the_last_failure_removes_the_message() {
        let options = ConsumerOptions::default().dead_letter(DeadLetter::None);
        assert_eq!(
            of_run(&failed("no".into()), &attempt(4), &options),
            Settlement::Ack
        );
    }

    #[test]
    fn a_killer_is_parked_after_its_third_crash() {
        let options = ConsumerOptions::default();
        assert_eq!(of_crashes(&attempt(1).with_crashes(2), &options), None);
        let parked = of_crashes(&attempt(1).with_crashes(3), &options);
        assert!(matches!(
            parked,
            Some(Settlement::DeadLetter {
                reason: DeadReason::Crash,
                ..
            })
        ));
    }

    #[test]
    fn what_the_grace_cut_off_goes_back_uncounted() {
        let options = ConsumerOptions::default();
        assert_eq!(
            of_run(&End::<()>::Abandoned, &attempt(2), &options),
            Settlement::Return
        );
    }
}
