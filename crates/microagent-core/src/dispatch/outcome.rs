//! The one place that decides what happens to a message after its handler, for all drivers.

use std::time::Duration;

use tracing::error;

use super::run::End;
use crate::{
    Advice, ConsumerOptions, CronOptions, DeadReason, Message, OnFailure, PeriodicOptions,
    ReceiverOptions, RetryPolicy, delivery::Settlement, text::excerpt,
};

/// The declared consequence of each kind of failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailurePolicy {
    error: OnFailure,
    timeout: OnFailure,
    panic: OnFailure,
    undecodable: OnFailure,
}

/// Reads the policy from the options; a schedule decodes nothing, so it needs no choice for that.
macro_rules! policy_of {
    ($($options:ty: $undecodable:expr),+ $(,)?) => {$(
        impl From<&$options> for FailurePolicy {
            fn from(options: &$options) -> Self {
                let undecodable: fn(&$options) -> OnFailure = $undecodable;
                Self {
                    error: options.on_error,
                    timeout: options.on_timeout,
                    panic: options.on_panic,
                    undecodable: undecodable(options),
                }
            }
        }
    )+};
}

policy_of! {
    ReceiverOptions: |options| options.on_undecodable,
    ConsumerOptions: |options| options.on_undecodable,
    PeriodicOptions: |_| OnFailure::Drop,
    CronOptions: |_| OnFailure::Drop,
}

/// The consequence of an end, for handlers of all kinds.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    /// Another run after this long.
    Again(Duration),
    /// No other run; a message is kept as a dead letter.
    Over(DeadReason),
    /// No other run, and a message is not kept.
    Dropped(DeadReason),
    /// The handler is not to blame: as if it had not run.
    Undone,
}

fn verdict<T>(end: &End<T>, attempt: u32, retry: &RetryPolicy, of: &FailurePolicy) -> Verdict {
    let (reason, follows, advice) = match end {
        End::Done(_) => return Verdict::Done,
        End::Abandoned | End::Unneeded => return Verdict::Undone,
        End::Failed(error) => (DeadReason::Failed, of.error, error.advice()),
        End::Undecodable(_) => (DeadReason::Undecodable, of.undecodable, Advice::Retry),
        End::TimedOut(_) => (DeadReason::Timeout, of.timeout, Advice::Retry),
        End::Panicked(_) => (DeadReason::Panic, of.panic, Advice::Retry),
    };
    match (advice, follows, retry.delay_after(attempt)) {
        (Advice::Terminal, _, _) => Verdict::Over(DeadReason::Terminal),
        (Advice::RetryAfter(asked), _, Some(_)) => Verdict::Again(asked),
        (Advice::RetryAfter(_), _, None) => Verdict::Over(reason),
        (Advice::Retry, OnFailure::Retry, Some(delay)) => Verdict::Again(delay),
        (Advice::Retry, OnFailure::Drop, _) => Verdict::Dropped(reason),
        (Advice::Retry, _, _) => Verdict::Over(reason),
    }
}

/// Returns the delay before the next run, for the nth run without a message; `None` if there is no next run.
pub(crate) fn again_after<T>(
    end: &End<T>,
    attempt: u32,
    retry: &RetryPolicy,
    of: &FailurePolicy,
) -> Option<Duration> {
    match verdict(end, attempt, retry, of) {
        Verdict::Again(delay) => Some(delay),
        _ => None,
    }
}

/// Returns the settlement of a message whose run has ended.
pub(crate) fn of_run<T>(end: &End<T>, message: &Message, options: &ConsumerOptions) -> Settlement {
    let detail = end.failure().unwrap_or_default();
    match verdict(end, message.attempt(), &options.retry, &options.into()) {
        Verdict::Done => Settlement::Ack,
        Verdict::Undone => abandoned(),
        Verdict::Again(after) => Settlement::Retry {
            after: after.saturating_add(random_up_to(options.retry_jitter)),
            reason: detail,
        },
        Verdict::Over(reason) => buried(message, options, reason, detail),
        Verdict::Dropped(reason) => dropped(message, reason, &detail),
    }
}

fn random_up_to(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}

/// Returns the settlement of a message that was in flight at too many deaths of its consumers; `None` lets it run.
pub(crate) fn of_crashes(message: &Message, options: &ConsumerOptions) -> Option<Settlement> {
    let crashes = message.crashes();
    if crashes < options.max_crashes {
        return None;
    }
    let detail = format!("its consumer died {crashes} times while handling it");
    Some(buried(message, options, DeadReason::Crash, detail))
}

/// Returns the consequence of a failed run, for its line in the log.
pub(crate) fn follows(settlement: &Settlement) -> String {
    match settlement {
        Settlement::Retry { after, .. } => format!("retry in {after:?}"),
        Settlement::DeadLetter { queue, .. } => format!("dead letter in `{queue}`"),
        Settlement::Return => "back to its queue".to_owned(),
        Settlement::Ack => "the message is dropped".to_owned(),
    }
}

/// Returns the settlement of a delivery that was dropped unsettled.
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
        None => dropped(message, reason, &detail),
    }
}

fn dropped(message: &Message, reason: DeadReason, detail: &str) -> Settlement {
    let body = excerpt(message.payload());
    error!(queue = message.queue(), %reason, detail, body, "message dropped: its consumer keeps no dead letter of it");
    Settlement::Ack
}

/// Returns the queue that keeps a message which cannot be handled.
pub(crate) fn dead_letter_queue(message: &Message, options: &ConsumerOptions) -> Option<String> {
    options.dead_letter.of(message.queue())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeadLetter, Error};

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
    fn a_retry_comes_up_to_its_jitter_later() {
        let jitter = Duration::from_secs(10);
        let options = ConsumerOptions::default().retry_jitter(jitter);
        let delays: std::collections::BTreeSet<_> = (0..20)
            .map(
                |_| match of_run(&failed("no".into()), &attempt(2), &options) {
                    Settlement::Retry { after, .. } => after,
                    other => panic!("{other:?}"),
                },
            )
            .collect();
        let policy = Duration::from_secs(4);
        assert!(
            delays
                .iter()
                .all(|after| (policy..policy + jitter).contains(after)),
            "{delays:?}"
        );
        assert!(delays.len() > 10, "{delays:?}");
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
    fn a_delivery_cut_off_by_the_grace_is_returned_uncounted() {
        let options = ConsumerOptions::default();
        assert_eq!(
            of_run(&End::<()>::Abandoned, &attempt(2), &options),
            Settlement::Return
        );
    }

    const KINDS: [(&str, DeadReason); 4] = [
        ("error", DeadReason::Failed),
        ("timeout", DeadReason::Timeout),
        ("panic", DeadReason::Panic),
        ("undecodable", DeadReason::Undecodable),
    ];

    /// An end of this kind, and a policy that says this of it and the opposite of all others.
    fn end_and_policy(kind: &str, follows: OnFailure) -> (End<()>, FailurePolicy) {
        let other = match follows {
            OnFailure::Drop => OnFailure::DeadLetter,
            _ => OnFailure::Drop,
        };
        let of = |this| if kind == this { follows } else { other };
        let policy = FailurePolicy {
            error: of("error"),
            timeout: of("timeout"),
            panic: of("panic"),
            undecodable: of("undecodable"),
        };
        let end = match kind {
            "error" => failed("no".into()),
            "timeout" => End::TimedOut(Duration::from_secs(1)),
            "panic" => End::Panicked("no".into()),
            _ => End::Undecodable("no".into()),
        };
        (end, policy)
    }

    #[test]
    fn each_kind_of_failure_has_its_choice() {
        let retry = RetryPolicy::after([Duration::from_secs(7)]);
        for (kind, reason) in KINDS {
            let expected = [
                (OnFailure::Retry, 1, Verdict::Again(Duration::from_secs(7))),
                (OnFailure::Retry, 2, Verdict::Over(reason)),
                (OnFailure::DeadLetter, 1, Verdict::Over(reason)),
                (OnFailure::Drop, 1, Verdict::Dropped(reason)),
            ];
            for (follows, attempt, expected) in expected {
                let (end, policy) = end_and_policy(kind, follows);
                let found = verdict(&end, attempt, &retry, &policy);
                assert_eq!(found, expected, "{kind}, {follows:?}");
            }
        }
    }

    #[test]
    fn an_error_that_says_what_it_wants_is_heeded() {
        let retry = RetryPolicy::after([Duration::from_secs(7)]);
        let asked = Duration::from_secs(60);
        for follows in [OnFailure::Retry, OnFailure::DeadLetter, OnFailure::Drop] {
            let (_, policy) = end_and_policy("error", follows);
            let terminal = verdict(&failed(Error::terminal("no")), 1, &retry, &policy);
            assert_eq!(terminal, Verdict::Over(DeadReason::Terminal));
            let later = Error::from("busy").with_advice(Advice::RetryAfter(asked));
            assert_eq!(
                verdict(&failed(later.without_source()), 1, &retry, &policy),
                Verdict::Again(asked)
            );
            assert_eq!(
                verdict(&failed(later), 2, &retry, &policy),
                Verdict::Over(DeadReason::Failed)
            );
        }
    }

    #[test]
    fn a_dropped_message_is_not_a_dead_letter() {
        let options = ConsumerOptions::default().on_error(OnFailure::Drop);
        assert_eq!(
            of_run(&failed("no".into()), &attempt(1), &options),
            Settlement::Ack
        );
    }

    #[test]
    fn without_retries_nothing_runs_again() {
        let never = RetryPolicy::never();
        for (kind, _) in KINDS {
            let (end, _) = end_and_policy(kind, OnFailure::Retry);
            let policy = FailurePolicy::from(&ReceiverOptions::default());
            assert_eq!(again_after(&end, 1, &never, &policy), None);
        }
    }
}
