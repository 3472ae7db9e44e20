//! The restarts of a member: after which ends, after which pauses, and how often.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::settings::{Restart, RestartPolicy};

/// The first and the longest pause before a restart.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The largest random reduction of a pause, as a part of it.
const JITTER: f64 = 0.25;

/// The decision after the end of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The member is restarted after this pause.
    Restart {
        pause: Duration,
        /// The number of this restart among those after failures; 0 if it does not count.
        count: u32,
    },
    /// The member has failed too often.
    GiveUp,
    /// The group stops.
    EndGroup,
}

/// The restarts of one member.
#[derive(Debug)]
pub(super) struct Restarts {
    rule: Restart,
    /// The times of the restarts that count.
    recent: VecDeque<Instant>,
    total: u32,
}

impl Restarts {
    pub(super) fn new(rule: Restart) -> Self {
        Self {
            rule,
            recent: VecDeque::new(),
            total: 0,
        }
    }

    /// Returns the number of all restarts, also of those that do not count.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Returns the restart policy.
    pub(super) fn rule(&self) -> Restart {
        self.rule
    }

    /// Returns whether the policy restarts the member after a failure.
    pub(super) fn restarts_after_failure(&self) -> bool {
        self.rule.policy != RestartPolicy::Never
    }

    /// Decides after a failure. `random` is between 0 and 1.
    pub(super) fn after_failure(&mut self, now: Instant, random: f64) -> Decision {
        match self.rule.policy {
            RestartPolicy::Never => Decision::EndGroup,
            RestartPolicy::Always | RestartPolicy::OnFailure => self.count_failure(now, random),
        }
    }

    /// Decides after an end without a failure of a member that ran for `run_time`. Such a restart
    /// does not count, but the member is started at most once a second.
    pub(super) fn after_clean_end(&mut self, run_time: Duration) -> Decision {
        match self.rule.policy {
            RestartPolicy::Never | RestartPolicy::OnFailure => Decision::EndGroup,
            RestartPolicy::Always => {
                self.total += 1;
                let pause = FIRST_PAUSE.saturating_sub(run_time);
                Decision::Restart { pause, count: 0 }
            }
        }
    }

    fn count_failure(&mut self, now: Instant, random: f64) -> Decision {
        let within = self.rule.within;
        self.recent
            .retain(|recent| now.saturating_duration_since(*recent) < within);
        let count = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if count >= self.rule.max {
            return Decision::GiveUp;
        }
        self.recent.push_back(now);
        self.total += 1;
        let count = count + 1;
        let pause = pause(count).mul_f64(1.0 - JITTER * random.clamp(0.0, 1.0));
        Decision::Restart { pause, count }
    }
}

/// 1, 2, 4 … 60 s.
fn pause(count: u32) -> Duration {
    let doubled = 1_u32.checked_shl(count.saturating_sub(1));
    let factor = doubled.unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarts(policy: RestartPolicy, max: u32) -> Restarts {
        Restarts::new(Restart {
            policy,
            max,
            within: Duration::from_secs(600),
        })
    }

    #[test]
    fn the_policy_decides() {
        use RestartPolicy::{Always, Never, OnFailure};
        let now = Instant::now();
        let cases = [
            (Never, true, false),
            (Never, false, false),
            (OnFailure, true, false),
            (OnFailure, false, true),
            (Always, true, true),
            (Always, false, true),
        ];
        for (policy, clean, restarted) in cases {
            let mut restarts = restarts(policy, 3);
            let next = if clean {
                restarts.after_clean_end(Duration::ZERO)
            } else {
                restarts.after_failure(now, 0.0)
            };
            let is_restart = matches!(next, Decision::Restart { .. });
            assert_eq!(is_restart, restarted, "{policy:?} {clean}: {next:?}");
        }
    }

    #[test]
    fn pauses_double_until_a_minute() {
        let mut restarts = restarts(RestartPolicy::OnFailure, 9);
        let now = Instant::now();
        for (count, seconds) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60, 60]) {
            let pause = Duration::from_secs(seconds);
            let next = restarts.after_failure(now, 0.0);
            assert_eq!(next, Decision::Restart { pause, count });
        }
        assert_eq!(restarts.after_failure(now, 0.0), Decision::GiveUp);
        assert_eq!(restarts.total(), 9);
    }

    #[test]
    fn the_jitter_only_shortens_a_pause() {
        for (random, millis) in [(0.0, 1_000), (0.5, 875), (1.0, 750), (7.0, 750)] {
            let mut restarts = restarts(RestartPolicy::Always, 1);
            let next = restarts.after_failure(Instant::now(), random);
            let pause = Duration::from_millis(millis);
            assert_eq!(next, Decision::Restart { pause, count: 1 });
        }
    }

    #[test]
    fn old_restarts_do_not_count() {
        let mut restarts = restarts(RestartPolicy::OnFailure, 2);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        restarts.after_failure(at(0), 0.0);
        restarts.after_failure(at(500), 0.0);
        let second = Duration::from_secs(2);
        let next = restarts.after_failure(at(600), 0.0);
        assert_eq!(
            next,
            Decision::Restart {
                pause: second,
                count: 2
            },
            "the first is forgotten"
        );
        assert_eq!(restarts.after_failure(at(601), 0.0), Decision::GiveUp);
    }

    #[test]
    fn restarts_after_clean_ends_are_unlimited_but_at_most_one_a_second() {
        let mut restarts = restarts(RestartPolicy::Always, 1);
        for (run_time, pause) in [(0, 1_000), (300, 700), (1_000, 0), (99_000, 0)] {
            let next = restarts.after_clean_end(Duration::from_millis(run_time));
            let pause = Duration::from_millis(pause);
            assert_eq!(next, Decision::Restart { pause, count: 0 });
        }
    }
}
