//! Worked cases, one after the other.

mod naive;
mod properties;

use std::time::SystemTime;

use jiff::Timestamp;

use super::CronSchedule;

fn schedule(spec: &str, zone: &str) -> CronSchedule {
    CronSchedule::new(spec).unwrap().in_zone(zone).unwrap()
}

fn at(instant: &str) -> SystemTime {
    let instant: Timestamp = instant.parse().unwrap();
    instant.into()
}

/// Asserts the fires after a start, one after the other.
fn assert_fires(spec: &str, zone: &str, start: &str, fires: &[&str]) {
    let schedule = schedule(spec, zone);
    let mut after = at(start);
    for fire in fires {
        let next = schedule.next(after).unwrap();
        let found = Timestamp::try_from(next).unwrap();
        assert_eq!(found.to_string(), *fire, "{schedule} after {after:?}");
        after = next;
    }
}

#[test]
fn the_calendar_is_followed_in_utc() {
    let from = "2026-01-01T00:00:00Z";
    assert_fires(
        "0 0 13 * 5",
        "UTC",
        "2026-02-01T00:00:00Z",
        &["2026-02-06T00:00:00Z"],
    );
    assert_fires(
        "0 0 */2 * 1",
        "UTC",
        from,
        &["2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z"],
    );
    assert_fires("0 0 * * 7", "UTC", from, &["2026-01-04T00:00:00Z"]);
    let every_twenty = [
        "2026-01-01T00:05:00Z",
        "2026-01-01T00:25:00Z",
        "2026-01-01T00:45:00Z",
        "2026-01-01T01:05:00Z",
    ];
    assert_fires("5-59/20 * * * *", "UTC", from, &every_twenty);
    assert_fires(
        "0 0 29 2 *",
        "UTC",
        from,
        &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
    );
    assert_fires(
        "0 12 * JAN-Mar,dec mon",
        "UTC",
        "2026-04-01T00:00:00Z",
        &["2026-12-07T12:00:00Z"],
    );
    assert_fires(
        "* * * * *",
        "UTC",
        "2026-12-31T23:59:00Z",
        &["2027-01-01T00:00:00Z"],
    );
}

#[test]
fn the_next_fire_is_strictly_after_the_start() {
    assert_fires(
        "0 0 * * *",
        "UTC",
        "2026-01-01T00:00:00Z",
        &["2026-01-02T00:00:00Z"],
    );
    assert_fires(
        "0 0 * * *",
        "UTC",
        "2025-12-31T23:59:59.999999999Z",
        &["2026-01-01T00:00:00Z"],
    );
    assert_fires(
        "* * * * *",
        "UTC",
        "2026-01-01T00:00:00.000000001Z",
        &["2026-01-01T00:01:00Z"],
    );
    assert_fires(
        "0 0 * * *",
        "UTC",
        "1969-12-30T23:59:59.5Z",
        &["1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z"],
    );
}

#[test]
fn a_leap_day_is_found_over_a_century_without_one() {
    assert_fires(
        "0 0 29 2 *",
        "UTC",
        "2096-03-01T00:00:00Z",
        &["2104-02-29T00:00:00Z"],
    );
    // On a Sunday, it can be 40 years away.
    assert_fires(
        "0 0 29 2 */7",
        "UTC",
        "2088-03-01T00:00:00Z",
        &["2128-02-29T00:00:00Z"],
    );
}

#[test]
fn a_fixed_time_in_a_gap_fires_once_right_after_it() {
    let zone = "America/New_York";
    let start = "2025-03-08T12:00:00Z";
    assert_fires(
        "30 2 * * *",
        zone,
        start,
        &["2025-03-09T07:00:00Z", "2025-03-10T06:30:00Z"],
    );
    assert_fires(
        "0,30 2 * * *",
        zone,
        start,
        &["2025-03-09T07:00:00Z", "2025-03-10T06:00:00Z"],
    );
    assert_fires(
        "0,30 1-3 9 3 *",
        zone,
        start,
        &[
            "2025-03-09T06:00:00Z",
            "2025-03-09T06:30:00Z",
            "2025-03-09T07:00:00Z",
            "2025-03-09T07:30:00Z",
            "2026-03-09T05:00:00Z",
        ],
    );
    assert_fires(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2025-10-04T00:00:00Z",
        &["2025-10-04T15:30:00Z"],
    );
    assert_fires(
        "0 0 * * *",
        "America/Sao_Paulo",
        "2018-11-03T12:00:00Z",
        &["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"],
    );
}

#[test]
fn a_fixed_time_in_a_fold_fires_once() {
    let zone = "America/New_York";
    let start = "2025-11-01T12:00:00Z";
    assert_fires(
        "30 1 * * *",
        zone,
        start,
        &["2025-11-02T05:30:00Z", "2025-11-03T06:30:00Z"],
    );
    assert_fires(
        "0,30 1 * * *",
        zone,
        start,
        &[
            "2025-11-02T05:00:00Z",
            "2025-11-02T05:30:00Z",
            "2025-11-03T06:00:00Z",
        ],
    );
    // A start within the repeated hour finds nothing left of it.
    assert_fires(
        "30 1 * * *",
        zone,
        "2025-11-02T06:00:00Z",
        &["2025-11-03T06:30:00Z"],
    );
    assert_fires(
        "0 2 * * *",
        zone,
        "2025-11-02T06:00:00Z",
        &["2025-11-02T07:00:00Z"],
    );
}

#[test]
fn a_wildcard_follows_the_clock() {
    let zone = "America/New_York";
    assert_fires(
        "*/30 * * * *",
        zone,
        "2025-11-02T04:59:00Z",
        &[
            "2025-11-02T05:00:00Z",
            "2025-11-02T05:30:00Z",
            "2025-11-02T06:00:00Z",
            "2025-11-02T06:30:00Z",
            "2025-11-02T07:00:00Z",
        ],
    );
    assert_fires(
        "*/30 2 * * *",
        zone,
        "2025-03-08T12:00:00Z",
        &["2025-03-10T06:00:00Z"],
    );
    assert_fires(
        "@hourly",
        zone,
        "2025-03-09T06:00:00Z",
        &["2025-03-09T07:00:00Z", "2025-03-09T08:00:00Z"],
    );
}

#[test]
fn a_day_that_a_zone_skipped_is_a_correction_of_the_clock() {
    // Samoa had no 2011-12-30.
    let start = "2011-12-29T21:00:00Z";
    assert_fires(
        "0 12 * * *",
        "Pacific/Apia",
        start,
        &["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"],
    );
    assert_fires(
        "0 12 30 12 *",
        "Pacific/Apia",
        start,
        &["2012-12-29T22:00:00Z"],
    );
}

#[test]
fn the_last_fire_before_now_is_found_over_a_lifetime() {
    let schedule = schedule("* * * * *", "Europe/Berlin");
    let (first, now) = (at("1970-01-01T00:01:00Z"), at("2038-01-19T03:14:07Z"));
    let began = std::time::Instant::now();
    assert_eq!(schedule.last_until(first, now), at("2038-01-19T03:14:00Z"));
    assert!(
        began.elapsed().as_secs() < 1,
        "36 million fires were looked at"
    );
    assert_eq!(schedule.last_until(first, first), first);
}

#[test]
fn a_schedule_whose_times_are_always_skipped_has_no_next_fire() {
    // The second Sunday in March, on which New York has no hour 2.
    let never = schedule("*/10 2 8-14 3 */7", "America/New_York");
    let stars = never.spec();
    assert!(!stars.dom_is_star() && stars.dow_is_star());
    assert_eq!(never.next(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn the_end_of_the_calendar_has_no_next_fire() {
    let schedule = schedule("@yearly", "Europe/Berlin");
    assert_eq!(schedule.next(Timestamp::MAX.into()), None);
    assert!(schedule.next(Timestamp::MIN.into()).is_some());
}
