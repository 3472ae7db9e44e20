//! Properties, against two oracles that share no code with the search nor with the reading of the text: cronie's main loop,
//! minute by minute, and a walk over the calendar, day by day.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use microagent_schema::CronSpec;
use proptest::prelude::*;

use super::{
    CronSchedule,
    naive::{NICKNAMES, Naive},
    schedule,
};

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

const MONTHS: [&str; 12] = [
    "jan", "Feb", "mar", "APR", "may", "jun", "jul", "aug", "Sep", "oct", "nov", "DEC",
];
const DAYS: [&str; 7] = ["SUN", "mon", "tue", "Wed", "thu", "fri", "Sat"];

/// A field's text around some of its values; `names` are those of the field's first values.
fn field(low: u8, high: u8, names: &'static [&'static str]) -> impl Strategy<Value = String> {
    // Only days of the week run over the end.
    let backwards = high == 7;
    let written = move |value: u8, named: bool| {
        let name = names.get(usize::from(value - low)).filter(|_| named);
        name.map_or_else(|| value.to_string(), |&name| name.to_owned())
    };
    let value = (low..=high, any::<bool>());
    let single = value
        .clone()
        .prop_map(move |(value, named)| written(value, named));
    let range = (value.clone(), value).prop_map(move |((a, name_a), (b, name_b))| {
        let (first, last) = if a <= b || backwards { (a, b) } else { (b, a) };
        let (first, last) = (written(first, name_a), written(last, name_b));
        format!("{first}-{last}")
    });
    let star = prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1..20u8).prop_map(|step| format!("*/{step}")),
    ];
    let item = prop_oneof![
        8 => single,
        4 => range.clone(),
        2 => (range, 1..20u8).prop_map(|(range, step)| format!("{range}/{step}")),
        1 => star.clone(),
    ];
    prop_oneof![
        6 => star,
        5 => prop::collection::vec(item, 1..4).prop_map(|items| items.join(",")),
    ]
}

fn minutes() -> impl Strategy<Value = String> {
    field(0, 59, &[])
}

fn days_of_month() -> impl Strategy<Value = String> {
    field(1, 31, &[])
}

fn months() -> impl Strategy<Value = String> {
    field(1, 12, &MONTHS)
}

fn days_of_week() -> impl Strategy<Value = String> {
    field(0, 7, &DAYS)
}

/// Schedules that fire often enough for a few days to tell: mostly any month, often any day.
fn frequent_spec() -> impl Strategy<Value = String> {
    let seldom = |field: BoxedStrategy<String>| prop_oneof![4 => Just("*".to_owned()), 1 => field];
    let hour = prop_oneof![field(0, 23, &[]), field(0, 4, &[])];
    let fields = (
        minutes(),
        hour,
        seldom(days_of_month().boxed()),
        seldom(months().boxed()),
        seldom(days_of_week().boxed()),
    );
    let fields = fields
        .prop_map(|(minute, hour, dom, month, dow)| format!("{minute} {hour} {dom} {month} {dow}"));
    let nickname = prop::sample::select(&NICKNAMES[..]).prop_map(|(name, _)| name.to_owned());
    prop_oneof![19 => fields, 1 => nickname]
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
fn fires_in_cronie(spec: &Naive, zone: &TimeZone, start: Timestamp) -> Vec<Timestamp> {
    let local_minute =
        |t: Timestamp| (t.as_second() + i64::from(zone.to_offset(t).seconds())).div_euclid(60);
    let due = |minute: i64| {
        let local =
            jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0) + SignedDuration::from_mins(minute);
        spec.is_minute(local)
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
fn next_date(spec: &Naive, after: Date) -> Option<Date> {
    let mut dates = after.series(jiff::ToSpan::days(1)).skip(1).take(41 * 366);
    dates.find(|date| spec.is_day(*date))
}

/// The schedule, and the same as it is read plainly; none for one that never fires, which has to be refused.
fn both(text: &str, zone: &str) -> Option<(CronSchedule, Naive)> {
    let naive = Naive::of(text);
    let parsed = CronSpec::parse(text);
    assert_eq!(parsed.is_ok(), naive.ever_fires(), "{text}: {parsed:?}");
    parsed.ok().map(|_| (schedule(text, zone), naive))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn fires_are_those_of_cronie(spec in frequent_spec(), (zone, start) in zone_and_start()) {
        let Some((schedule, naive)) = both(&spec, zone) else { return Ok(()) };
        let mut after = start;
        for expected in fires_in_cronie(&naive, &TimeZone::get(zone).unwrap(), start) {
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
        let Some((schedule, _)) = both(&spec, zone) else { return Ok(()) };
        let now: SystemTime = (start + SignedDuration::from_hours(hours) + SignedDuration::from_secs(seconds)).into();
        let Some(first) = schedule.next(start.into()).filter(|first| *first <= now) else { return Ok(()) };
        let fires = std::iter::successors(Some(first), |fire| schedule.next(*fire));
        let last = fires.take_while(|fire| *fire <= now).last().unwrap();
        prop_assert_eq!(schedule.last_until(first, now), last);
    }

    #[test]
    fn dates_are_those_of_the_calendar(
        dom in days_of_month(), month in months(), dow in days_of_week(),
        day in 0..36_500i32,
    ) {
        let Some((schedule, naive)) = both(&format!("0 0 {dom} {month} {dow}"), "UTC") else { return Ok(()) };
        let date = jiff::civil::date(1980, 1, 1) + jiff::ToSpan::days(day);
        let next = schedule.next(date.to_zoned(TimeZone::UTC).unwrap().timestamp().into());
        let expected = next_date(&naive, date).map(|date| date.to_zoned(TimeZone::UTC).unwrap().timestamp().into());
        prop_assert_eq!(next, expected);
    }
}
