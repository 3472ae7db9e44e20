//! The next match of a schedule on the calendar and the clock face, where no hour is skipped or repeated.

use jiff::civil::{Date, DateTime, Time};
use microagent_schema::CronSpec;

/// The first matching minute that is not before `from` and is before `until`.
pub(super) fn first_match(spec: &CronSpec, from: DateTime, until: DateTime) -> Option<DateTime> {
    let mut from = from;
    while from < until {
        let date = from.date();
        if !spec.months().contains(date.month().unsigned_abs()) {
            from = date.last_of_month().tomorrow().ok()?.into();
            continue;
        }
        if let Some(time) = matches_date(spec, date)
            .then(|| first_time(spec, from.time()))
            .flatten()
        {
            let found = date.to_datetime(time);
            return (found < until).then_some(found);
        }
        from = date.tomorrow().ok()?.into();
    }
    None
}

fn matches_date(spec: &CronSpec, date: Date) -> bool {
    spec.matches_date(
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
        date.weekday().to_sunday_zero_offset().unsigned_abs(),
    )
}

/// The first matching time of a day that is not before `from`.
fn first_time(spec: &CronSpec, from: Time) -> Option<Time> {
    let begun = from.second() > 0 || from.subsec_nanosecond() > 0;
    let minute = from.minute().unsigned_abs() + u8::from(begun);
    let hour = from.hour().unsigned_abs();
    if spec.hours().contains(hour)
        && let Some(minute) = spec.minutes().first_from(minute)
    {
        return time_of(hour, minute);
    }
    time_of(
        spec.hours().first_from(hour + 1)?,
        spec.minutes().first_from(0)?,
    )
}

fn time_of(hour: u8, minute: u8) -> Option<Time> {
    Time::new(hour.cast_signed(), minute.cast_signed(), 0, 0).ok()
}
