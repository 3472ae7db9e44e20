//! The rules about values that several kinds of handlers share, each with its sentence.

use std::time::Duration;

use super::{OnFailure, OptionError, failures};

/// A run that starts a day later belongs to another day.
const LONGEST_JITTER: Duration = Duration::from_secs(24 * 3600);

/// Checks that a duration is longer than 0.
pub(super) fn positive(option: &'static str, time: Duration) -> Option<OptionError> {
    time.is_zero()
        .then(|| OptionError::of(option, "it must be longer than 0"))
}

/// Checks that a count is not 0.
pub(super) fn at_least_one(option: &'static str, count: usize) -> Option<OptionError> {
    (count == 0).then(|| OptionError::of(option, "a whole number of at least 1 is allowed"))
}

/// Checks that a random delay is shorter than the period, if there is one, and than a day.
pub(super) fn jitter(jitter: Duration, period: Option<Duration>) -> Option<OptionError> {
    let period = period.filter(|period| *period < LONGEST_JITTER);
    if jitter.is_zero() || jitter < period.unwrap_or(LONGEST_JITTER) {
        return None;
    }
    let limit = match period {
        Some(period) => format!("the period, which is {period:?},"),
        None => "a day".to_owned(),
    };
    let message =
        format!("a run starts up to this much later; less than {limit} is allowed, not {jitter:?}");
    let error = OptionError::of("jitter", message);
    Some(match period {
        Some(_) => error.and("period"),
        None => error,
    })
}

/// Checks that only messages become dead letters.
pub(super) fn no_dead_letters(option: &'static str, follows: OnFailure) -> Option<OptionError> {
    let refused = failures::AFTER_RUNS.check(&follows.word().into());
    refused
        .err()
        .map(|message| OptionError::of(option, message))
}
