//! Stretches of time between two changes of a zone's clock: in each, local time is UTC plus a fixed offset.
//!
//! All rules about skipped and repeated hours are about the step from one stretch to the next.

use jiff::{
    SignedDuration, Timestamp, Unit,
    civil::{DateTime, DateTimeRound},
    tz::{Offset, TimeZone, TimeZoneTransition},
};
use microagent_schema::CronSpec;

use super::calendar::first_match;

/// A change of the clock by as much as this, or by more than this if it goes back, is not daylight saving but a
/// correction: as in cronie, all schedules then follow the clock.
const CORRECTION: SignedDuration = SignedDuration::from_hours(3);

/// The rest of a stretch.
pub(super) struct Stretch {
    start: Timestamp,
    end: Timestamp,
    offset: Offset,
    /// True if the clock change at the start skipped times of the schedule that are made up for there.
    catches_up: bool,
    /// The first local time whose match counts.
    from: DateTime,
}

impl Stretch {
    /// The stretch that `after` lies in, from the next whole minute on.
    pub(super) fn after(spec: &CronSpec, zone: &TimeZone, after: Timestamp) -> Option<Self> {
        let offset = zone.to_offset(after);
        let this_minute = DateTimeRound::new()
            .smallest(Unit::Minute)
            .mode(jiff::RoundMode::Trunc);
        let next_minute = offset
            .to_datetime(after)
            .round(this_minute)
            .ok()?
            .checked_add(SignedDuration::from_mins(1))
            .ok()?;
        // Strictly preceding the next nanosecond: a change at `after` itself counts.
        let just_after = after
            .checked_add(SignedDuration::from_nanos(1))
            .unwrap_or(after);
        let repeated_until = zone
            .preceding(just_after)
            .next()
            .and_then(|change| ClockChange::of(zone, &change).repeated_until(spec));
        Some(Self {
            start: after,
            end: end_of_stretch(zone, after),
            offset,
            catches_up: false,
            from: repeated_until.map_or(next_minute, |until| until.max(next_minute)),
        })
    }

    /// The stretch behind this one; none at the end of the zone's changes.
    pub(super) fn following(&self, spec: &CronSpec, zone: &TimeZone) -> Option<Self> {
        let transition = zone.following(self.start).next()?;
        let change = ClockChange::of(zone, &transition);
        Some(Self {
            start: change.at,
            end: end_of_stretch(zone, change.at),
            offset: change.offset,
            catches_up: change.skips(spec),
            from: change.repeated_until(spec).unwrap_or(change.local_after()),
        })
    }

    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// The schedule's first instant in the stretch and before the horizon.
    pub(super) fn first_fire(&self, spec: &CronSpec, horizon: Timestamp) -> Option<Timestamp> {
        if self.catches_up {
            return Some(self.start);
        }
        let until = self.offset.to_datetime(self.end.min(horizon));
        let local = first_match(spec, self.from, until)?;
        self.offset.to_timestamp(local).ok()
    }
}

fn end_of_stretch(zone: &TimeZone, start: Timestamp) -> Timestamp {
    zone.following(start)
        .next()
        .map_or(Timestamp::MAX, |change| change.timestamp())
}

/// A change of a zone's clock.
struct ClockChange {
    at: Timestamp,
    offset_before: Offset,
    offset: Offset,
}

impl ClockChange {
    fn of(zone: &TimeZone, transition: &TimeZoneTransition<'_>) -> Self {
        let at = transition.timestamp();
        let just_before = at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
        Self {
            at,
            offset_before: zone.to_offset(just_before),
            offset: transition.offset(),
        }
    }

    /// Returns the time that the clock would have shown.
    fn local_before(&self) -> DateTime {
        self.offset_before.to_datetime(self.at)
    }

    /// Returns the time that the clock shows.
    fn local_after(&self) -> DateTime {
        self.offset.to_datetime(self.at)
    }

    /// Returns true if the clock goes forward over a time of a schedule with fixed times.
    fn skips(&self, spec: &CronSpec) -> bool {
        let forward = self.offset_before.duration_until(self.offset);
        spec.is_fixed_time()
            && forward.is_positive()
            && forward < CORRECTION
            && first_match(spec, self.local_before(), self.local_after()).is_some()
    }

    /// The local time up to which a schedule with fixed times has fired before, where the clock goes back.
    fn repeated_until(&self, spec: &CronSpec) -> Option<DateTime> {
        let back = self.offset.duration_until(self.offset_before);
        let repeats = spec.is_fixed_time() && back.is_positive() && back <= CORRECTION;
        repeats.then(|| self.local_before())
    }
}
