//! The schedule language: what each field allows, what is refused, and how Python reads the same text.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

mod python;
mod refusals;

use microagent_schema::{CronSpec, Field, FieldSet};

fn spec(text: &str) -> CronSpec {
    CronSpec::parse(text).unwrap()
}

fn values(set: FieldSet) -> Vec<u8> {
    set.iter().collect()
}

/// The sentence of a refusal, and the field it is about.
fn refusal(text: &str) -> (Option<Field>, String) {
    let error = CronSpec::parse(text).unwrap_err();
    (error.field, error.to_string())
}

#[test]
fn a_star_is_everything() {
    let every_minute = spec("* * * * *");
    assert_eq!(values(every_minute.minutes()), (0..60).collect::<Vec<_>>());
    assert_eq!(values(every_minute.hours()), (0..24).collect::<Vec<_>>());
    assert_eq!(
        values(every_minute.days_of_month()),
        (1..32).collect::<Vec<_>>()
    );
    assert_eq!(values(every_minute.months()), (1..13).collect::<Vec<_>>());
    assert_eq!(
        values(every_minute.days_of_week()),
        (0..7).collect::<Vec<_>>()
    );
}

#[test]
fn a_step_counts_from_the_start_of_its_range() {
    assert_eq!(values(spec("5-59/20 * * * *").minutes()), [5, 25, 45]);
    assert_eq!(values(spec("0 0 1 */3 *").months()), [1, 4, 7, 10]);
    assert_eq!(
        values(spec("0 0 */10 * *").days_of_month()),
        [1, 11, 21, 31]
    );
    assert_eq!(values(spec("0 1-2/9 * * *").hours()), [1]);
    assert_eq!(values(spec("*/90 * * * *").minutes()), [0]);
}

#[test]
fn lists_join_values_ranges_and_steps() {
    assert_eq!(
        values(spec("1,10-12,*/30,59 * * * *").minutes()),
        [0, 1, 10, 11, 12, 30, 59]
    );
    assert_eq!(values(spec("007,7 * * * *").minutes()), [7]);
}

#[test]
fn words_stand_for_numbers_in_any_case() {
    let winter = spec("0 12 * JAN-Mar,dec mon");
    assert_eq!(values(winter.months()), [1, 2, 3, 12]);
    assert_eq!(values(winter.days_of_week()), [1]);
    assert_eq!(values(spec("0 0 * * Tue-6/2").days_of_week()), [2, 4, 6]);
}

#[test]
fn sunday_is_both_ends_of_the_week() {
    for sunday in [
        "0", "7", "sun", "0,7", "7-7", "sun-sun", "*/7", "0-7/7", "7-0",
    ] {
        assert_eq!(
            values(spec(&format!("0 0 * * {sunday}")).days_of_week()),
            [0],
            "{sunday}"
        );
    }
    assert_eq!(values(spec("0 0 * * 5-7").days_of_week()), [0, 5, 6]);
    assert_eq!(
        values(spec("0 0 * * 0-7").days_of_week()),
        (0..7).collect::<Vec<_>>()
    );
}

#[test]
fn a_range_of_weekdays_may_run_over_the_end_of_the_week() {
    assert_eq!(values(spec("0 0 * * fri-sun").days_of_week()), [0, 5, 6]);
    assert_eq!(values(spec("0 0 * * sat-mon").days_of_week()), [0, 1, 6]);
    assert_eq!(values(spec("0 0 * * 6-2").days_of_week()), [0, 1, 2, 6]);
    assert_eq!(values(spec("0 0 * * 7-2").days_of_week()), [0, 1, 2]);
    assert_eq!(values(spec("0 0 * * fri-mon/2").days_of_week()), [0, 5]);
}

#[test]
fn nicknames_are_schedules() {
    for (nickname, written_out) in [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ] {
        let (short, long) = (spec(nickname), spec(written_out));
        assert_eq!(
            values(short.minutes()),
            values(long.minutes()),
            "{nickname}"
        );
        assert_eq!(values(short.hours()), values(long.hours()), "{nickname}");
        assert_eq!(
            values(short.days_of_month()),
            values(long.days_of_month()),
            "{nickname}"
        );
        assert_eq!(values(short.months()), values(long.months()), "{nickname}");
        assert_eq!(
            values(short.days_of_week()),
            values(long.days_of_week()),
            "{nickname}"
        );
        assert_eq!(short.is_fixed_time(), long.is_fixed_time(), "{nickname}");
        assert_eq!(short.to_string(), nickname);
    }
    assert_eq!(refusal("@reboot").0, None);
    assert!(
        refusal("@reboot")
            .1
            .starts_with("unknown schedule `@reboot` (available: `@yearly`, ")
    );
}

#[test]
fn a_star_is_what_starts_with_one() {
    let stars = |text| (spec(text).dom_is_star(), spec(text).dow_is_star());
    assert_eq!(stars("0 0 */2 * 1"), (true, false));
    assert_eq!(stars("0 0 1-31 * 1"), (false, false));
    assert_eq!(stars("0 0 1 * *,1"), (false, true));
    assert_eq!(stars("0 0 1 * 1,*"), (false, false));
}

#[test]
fn fixed_time_is_a_matter_of_minute_and_hour() {
    for fixed in [
        "0 2 * * *",
        "0,30 2 * * *",
        "0-59 0-23 * * *",
        "0-59/5 2 */2 * *",
        "5,*/10 2 * * *",
        "@daily",
    ] {
        assert!(spec(fixed).is_fixed_time(), "{fixed}");
    }
    for wildcard in [
        "* 2 * * *",
        "*/30 2 * * *",
        "0 * * * *",
        "0 */4 * * *",
        "@hourly",
    ] {
        assert!(!spec(wildcard).is_fixed_time(), "{wildcard}");
    }
}

#[test]
fn a_day_matches_both_fields_where_one_is_a_star_and_else_either() {
    let either = spec("0 0 13 * 5");
    assert!(either.matches_date(1, 13, 1) && either.matches_date(1, 2, 5));
    assert!(!either.matches_date(1, 2, 1));
    let both = spec("0 0 13 * */5");
    assert!(both.matches_date(1, 13, 5) && both.matches_date(1, 13, 0));
    assert!(!both.matches_date(1, 13, 1) && !both.matches_date(1, 2, 5));
    assert!(spec("0 0 1-31 * 1").matches_date(1, 7, 3));
    assert!(!spec("0 0 13 2 5").matches_date(3, 13, 5));
}

#[test]
fn the_source_is_kept_without_outer_blanks() {
    assert_eq!(spec("  0\t4  * * SUN \n").to_string(), "0\t4  * * SUN");
    assert_eq!("0 4 * * 0".parse::<CronSpec>().unwrap(), spec("0 4 * * 0"));
}
