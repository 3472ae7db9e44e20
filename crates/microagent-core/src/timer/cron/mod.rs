//! When a cron schedule fires: the grammar of `microagent-schema`, in a time zone.
//!
//! Pure arithmetic. It asks no clock and waits for nothing; the loops of this module do.

mod calendar;
mod stretch;

#[cfg(test)]
mod tests;

use std::{fmt, time::SystemTime};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use microagent_schema::CronSpec;

use self::stretch::Stretch;
use crate::{Error, ErrorKind, Result};

/// The longest time to the next fire that is looked for. A leap day on a given day of the week can be 40 years away.
const HORIZON: SignedDuration = SignedDuration::from_hours(41 * 366 * 24);

/// A cron schedule in its time zone, UTC unless told otherwise.
///
/// If the zone's clock skips an hour, a schedule with fixed times (neither minute nor hour starts with `*`) makes up for the
/// times in it right after the gap; if the clock repeats an hour, it fires in the first one only. Other schedules follow
/// the clock. It fires at most once per instant.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use microagent_core::CronSchedule;
///
/// let nightly = CronSchedule::new("30 2 * * *")?.in_zone("Europe/Berlin")?;
/// let epoch = SystemTime::UNIX_EPOCH;
/// assert_eq!(nightly.next(epoch), Some(epoch + Duration::from_secs(90 * 60)));
/// assert_eq!(nightly.to_string(), "30 2 * * * Europe/Berlin");
/// # Ok::<(), microagent_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CronSchedule {
    spec: CronSpec,
    zone: TimeZone,
}

impl CronSchedule {
    /// Reads a schedule of five fields or a nickname such as `@daily`, in UTC.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], with the field, what is wrong with it and what is allowed.
    ///
    /// ```
    /// use microagent_core::CronSchedule;
    ///
    /// let error = CronSchedule::new("0 25 * * *").unwrap_err();
    /// assert_eq!(error.to_string(), "schedule `0 25 * * *`: hour: 25 is out of range 0-23");
    /// ```
    pub fn new(spec: &str) -> Result<Self> {
        let spec = CronSpec::parse(spec).map_err(|error| {
            let message = format!("schedule `{spec}`: {error}");
            Error::new(ErrorKind::Configuration, message).with_source(error)
        })?;
        Ok(Self::from(spec))
    }

    /// The same schedule by the clock of another zone, by its IANA name.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a zone that does not exist.
    ///
    /// ```
    /// use microagent_core::CronSchedule;
    ///
    /// let error = CronSchedule::new("@daily")?.in_zone("Europe/Berln").unwrap_err();
    /// assert!(error.to_string().starts_with("unknown time zone `Europe/Berln`"));
    /// # Ok::<(), microagent_core::Error>(())
    /// ```
    pub fn in_zone(self, name: &str) -> Result<Self> {
        let zone = zone_of(name)?;
        Ok(Self { zone, ..self })
    }

    /// The schedule as it was written.
    #[must_use]
    pub fn spec(&self) -> &CronSpec {
        &self.spec
    }

    /// The IANA name of the zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The first instant strictly after `after` at which the schedule fires.
    ///
    /// None where there is none in the next 41 years, which only happens to a schedule that follows a clock which
    /// skips all of its times, and at the end of the calendar.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use microagent_core::CronSchedule;
    ///
    /// let schedule = CronSchedule::new("*/30 * * * *")?;
    /// let first = schedule.next(SystemTime::UNIX_EPOCH).unwrap();
    /// assert_eq!(first, SystemTime::UNIX_EPOCH + Duration::from_secs(30 * 60));
    /// assert_eq!(schedule.next(first), Some(first + Duration::from_secs(30 * 60)));
    /// # Ok::<(), microagent_core::Error>(())
    /// ```
    #[must_use]
    pub fn next(&self, after: SystemTime) -> Option<SystemTime> {
        let after = Timestamp::try_from(after).ok()?;
        let horizon = after.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
        let mut stretch = Stretch::after(&self.spec, &self.zone, after)?;
        while stretch.start() <= horizon {
            if let Some(fire) = stretch.first_fire(&self.spec, horizon) {
                return Some(fire.into());
            }
            stretch = stretch.following(&self.spec, &self.zone)?;
        }
        None
    }

    /// The last instant up to `now` at which the schedule fires, where `known` is one of them.
    pub(crate) fn last_until(&self, known: SystemTime, now: SystemTime) -> SystemTime {
        let (mut last, mut none_after) = (known, now);
        let fire_after = |after| self.next(after).filter(|fire| *fire <= now);
        // Fires stand in minutes, so the last of them is soon between two instants of which one is next to the other.
        while let Some(next) = fire_after(last) {
            last = next;
            let middle = last + none_after.duration_since(last).unwrap_or_default() / 2;
            match fire_after(middle) {
                Some(later) => last = later,
                None => none_after = middle,
            }
        }
        last
    }
}

/// Returns true if there is a time zone of this name.
pub(crate) fn check_zone(name: &str) -> Result<()> {
    zone_of(name).map(drop)
}

fn zone_of(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|error| {
        let message = format!(
            "unknown time zone `{name}`: expected an IANA name such as `UTC` or `Europe/Berlin`"
        );
        Error::new(ErrorKind::Configuration, message).with_source(error)
    })
}

impl From<CronSpec> for CronSchedule {
    /// The schedule in UTC.
    fn from(spec: CronSpec) -> Self {
        Self {
            spec,
            zone: TimeZone::UTC,
        }
    }
}

impl fmt::Display for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.spec, self.zone())
    }
}
