//! Properties, against two oracles that share no code with the search: cronie's main loop, minute by minute, and a walk over
//! the calendar, day by day.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use microagent_schema::CronSpec;
use proptest::prelude::*;

use super::{CronSchedule, schedule};

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Antarctica/Casey",
    "Asia/Kathmandu",
];

/// A field's text around some of its values.
fn field(low: u8, high: u8) -> impl Strategy<Value = String> {
    let value = low..=high;
    let range =
        (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    let item = prop_oneof![
        4 => value.prop_map(|value| value.to_string()),
        2 => range.clone(),
        1 => (range, 1..20u8).prop_map(|(range, step)| format!("{range}/{step}")),
    ];
    prop_oneof![
        4 => Just("*".to_owned()),
        2 => (1..20u8).prop_map(|step| format!("*/{step}")),
        5 => prop::collection::vec(item, 1..4).prop_map(|items| items.join(",")),
    ]
}

/// Schedules that fire often enough for a few days to tell: mostly any month, often any day.
fn frequent_spec() -> impl Strategy<Value = String> {
    let seldom = |low, high| prop_oneof![4 => Just("*".to_owned()), 1 => field(low, high)];
    let hour = prop_oneof![field(0, 23), field(0, 4)];
    (
        field(0, 59),
        hour,
        seldom(1, 31),
        seldom(1, 12),
        seldom(0, 7),
    )
        .prop_map(|(minute, hour, dom, month, dow)| format!("{minute} {hour} {dom} {month} {dow}"))
}

/// An instant, often shortly before a change of the zone's clock.
fn start_in(zone: &'static str) -> impl Strategy<Value = Timestamp> {
    let second = 631_152_000..2_208_988_800i64;
    (second, -10_000..100_000i64, any::<bool>()).prop_map(move |(second, before, at_change)| {
        let anywhere = Timestamp::from_second(second).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let change = at_change.then(|| zone.following(anywhere).next()).flatten();
        let near = change.map_or(anywhere, |change| change.timestamp());
        near - SignedDuration::from_secs(before)
    })
}

fn zone_and_start() -> impl Strategy<Value = (&'static str, Timestamp)> {
    prop::sample::select(&ZONES[..]).prop_flat_map(|zone| (Just(zone), start_in(zone)))
}

/// The minutes that cronie's main loop runs a job at, from a start on for three days.
fn fires_in_cronie(spec: &CronSpec, zone: &TimeZone, start: Timestamp) -> Vec<Timestamp> {
    let local_minute =
        |t: Timestamp| (t.as_second() + i64::from(zone.to_offset(t).seconds())).div_euclid(60);
    let due = |minute: i64| {
        let local =
            jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0) + SignedDuration::from_mins(minute);
        is_day(spec, local.date())
            && spec.hours().contains(local.hour() as u8)
            && spec.minutes().contains(local.minute() as u8)
    };
    let fixed = spec.is_fixed_time();
    // Begin two days early, so that a change just before the start has its effect.
    let first_minute = start.as_second().div_euclid(60) - 2 * 1440;
    let instant = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
    let mut clock = local_minute(instant(first_minute));
    let mut fires = Vec::new();
    for minute in first_minute + 1..=first_minute + 5 * 1440 {
        let now = local_minute(instant(minute));
        let fires_now = match now - clock {
            1..=180 if fixed => (clock + 1..=now).any(due),
            -180..=0 if fixed => false,
            _ => due(now),
        };
        if !(-180..=0).contains(&(now - clock)) {
            clock = now;
        }
        if fires_now && instant(minute) > start {
            fires.push(instant(minute));
        }
    }
    fires
}

/// The first matching date after one, looked for day by day.
fn next_date(spec: &CronSpec, after: Date) -> Option<Date> {
    let mut dates = after.series(jiff::ToSpan::days(1)).skip(1).take(41 * 366);
    dates.find(|date| is_day(spec, *date))
}

/// Whether the schedule's last three fields take this date, by cronie's star rule.
fn is_day(spec: &CronSpec, date: Date) -> bool {
    let weekday = date.weekday().to_sunday_zero_offset() as u8;
    let by_dom = spec.days_of_month().contains(date.day() as u8);
    let by_dow = spec.days_of_week().contains(weekday);
    let star = spec.dom_is_star() || spec.dow_is_star();
    let day = if star {
        by_dom && by_dow
    } else {
        by_dom || by_dow
    };
    day && spec.months().contains(date.month() as u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn fires_are_those_of_cronie(spec in frequent_spec(), (zone, start) in zone_and_start()) {
        let Ok(parsed) = CronSpec::parse(&spec) else { return Ok(()) };
        let schedule = schedule(&spec, zone);
        let mut after = start;
        for expected in fires_in_cronie(&parsed, &TimeZone::get(zone).unwrap(), start) {
            let next = schedule.next(after.into()).map(|next| Timestamp::try_from(next).unwrap());
            prop_assert_eq!(next, Some(expected), "{} after {}", schedule, after);
            after = expected;
        }
        let end = start + SignedDuration::from_hours(71);
        let beyond = schedule.next(after.max(end).into());
        prop_assert!(beyond.is_none_or(|next| next > end.into()));
    }

    #[test]
    fn the_last_fire_before_now_is_found_without_counting(
        spec in frequent_spec(), (zone, start) in zone_and_start(), hours in 0..100i64, seconds in 0..3600i64,
    ) {
        if CronSpec::parse(&spec).is_err() { return Ok(()) }
        let schedule = schedule(&spec, zone);
        let now: SystemTime = (start + SignedDuration::from_hours(hours) + SignedDuration::from_secs(seconds)).into();
        let Some(first) = schedule.next(start.into()).filter(|first| *first <= now) else { return Ok(()) };
        let fires = std::iter::successors(Some(first), |fire| schedule.next(*fire));
        let last = fires.take_while(|fire| *fire <= now).last().unwrap();
        prop_assert_eq!(schedule.last_until(first, now), last);
    }

    #[test]
    fn dates_are_those_of_the_calendar(
        dom in field(1, 31), month in field(1, 12), dow in field(0, 7),
        day in 0..36_500i32,
    ) {
        let Ok(parsed) = CronSpec::parse(&format!("0 0 {dom} {month} {dow}")) else { return Ok(()) };
        let date = jiff::civil::date(1980, 1, 1) + jiff::ToSpan::days(day);
        let schedule = CronSchedule::from(parsed.clone());
        let next = schedule.next(date.to_zoned(TimeZone::UTC).unwrap().timestamp().into());
        let expected = next_date(&parsed, date).map(|date| date.to_zoned(TimeZone::UTC).unwrap().timestamp().into());
        prop_assert_eq!(next, expected);
    }
}
