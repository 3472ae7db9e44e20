//! The schedule language: what each field allows, what is refused, and how Python reads the same text.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

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

fn assert_refused(text: &str, field: Field, sentence: &str) {
    assert_eq!(refusal(text), (Some(field), sentence.to_owned()), "{text}");
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
            .starts_with("`@reboot` is no schedule: @yearly, ")
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

#[test]
fn out_of_range_is_refused() {
    assert_refused(
        "60 * * * *",
        Field::Minute,
        "minute: 60 is out of range 0-59",
    );
    assert_refused("0 24 * * *", Field::Hour, "hour: 24 is out of range 0-23");
    assert_refused(
        "0 0 0 * *",
        Field::DayOfMonth,
        "day of month: 0 is out of range 1-31",
    );
    assert_refused(
        "0 0 1-32 * *",
        Field::DayOfMonth,
        "day of month: 32 is out of range 1-31",
    );
    assert_refused("0 0 * 13 *", Field::Month, "month: 13 is out of range 1-12");
    assert_refused(
        "0 0 * * 8",
        Field::DayOfWeek,
        "day of week: 8 is out of range 0-7",
    );
    assert_refused(
        "0 99999999999999999999 * * *",
        Field::Hour,
        "hour: 99999999999999999999 is out of range 0-23",
    );
}

#[test]
fn bad_steps_are_refused() {
    assert_refused(
        "5/10 * * * *",
        Field::Minute,
        "minute: `5/10` has a step but no range: write `5-59/10`",
    );
    assert_refused(
        "0 0 * * mon/2",
        Field::DayOfWeek,
        "day of week: `mon/2` has a step but no range: write `1-7/2`",
    );
    for (step, reason) in [
        ("0", "never gets anywhere"),
        ("00", "never gets anywhere"),
        ("", "is no number"),
        ("-1", "is no number"),
        ("x", "is no number"),
        ("5/5", "is no number"),
        ("99999", "is too large"),
    ] {
        assert_refused(
            &format!("0 0 */{step} * *"),
            Field::DayOfMonth,
            &format!(
                "day of month: step {step} in `*/{step}` {reason}: a step is a whole number from 1 on"
            ),
        );
    }
}

#[test]
fn bad_items_are_refused() {
    for list in [",", "1,", ",1", "1,,2"] {
        let sentence = format!(
            "hour: an item of the list `{list}` is empty: a value or a range is expected between commas"
        );
        assert_refused(&format!("0 {list} * * *"), Field::Hour, &sentence);
    }
    assert_refused(
        "-5 * * * *",
        Field::Minute,
        "minute: `-5` is negative: 0-59 is allowed",
    );
    assert_refused(
        "5- * * * *",
        Field::Minute,
        "minute: `5-` is no range: both ends are needed, from 0-59",
    );
    for nonsense in [
        "x", "?", "L", "+5", "1.5", "**", "*5", "1~5", "jan", "٣", "2-3-4",
    ] {
        let (field, sentence) = refusal(&format!("0 {nonsense} * * *"));
        assert_eq!(field, Some(Field::Hour), "{nonsense}");
        assert!(
            sentence.contains(" is no value: 0-23 is allowed"),
            "{sentence}"
        );
    }
    let (_, sentence) = refusal("0 0 * january *");
    assert!(
        sentence.starts_with("month: `january` is no value: 1-12 or jan-dec is allowed"),
        "{sentence}"
    );
    let (_, sentence) = refusal("0 0 * * jan");
    assert!(
        sentence.starts_with("day of week: `jan` is no value: 0-7 or sun-sat is allowed"),
        "{sentence}"
    );
}

#[test]
fn a_reversed_range_is_refused_outside_of_the_week() {
    assert_refused(
        "50-10 * * * *",
        Field::Minute,
        "minute: range 50-10 runs backwards: `50-59,0-10` goes around the end",
    );
    assert_refused(
        "0 0 * nov-feb *",
        Field::Month,
        "month: range nov-feb runs backwards: `nov-12,1-feb` goes around the end",
    );
}

#[test]
fn a_wrong_number_of_fields_is_refused() {
    for (text, found) in [("", 0), ("* * * *", 4), ("0 * * * * *", 6)] {
        let expected = format!(
            "5 fields are expected (minute hour day-of-month month day-of-week), but `{text}` has {found}"
        );
        assert_eq!(refusal(text), (None, expected));
    }
}

#[test]
fn a_schedule_that_can_never_fire_is_refused() {
    let sentence = "day of month: this schedule can never fire: none of its months has such a day";
    for never in [
        "0 0 31 4 *",
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "0 0 30,31 2 */2",
    ] {
        assert_refused(never, Field::DayOfMonth, sentence);
    }
    // The days 1 and 31, and a February has a first.
    assert!(CronSpec::parse("0 0 */30 2 *").is_ok());
}

#[test]
fn a_day_of_week_saves_an_impossible_day_of_month() {
    assert!(CronSpec::parse("0 0 31 4 1").is_ok());
    assert!(CronSpec::parse("0 0 30 2 sun").is_ok());
    assert!(CronSpec::parse("0 0 29 2 *").is_ok());
}

/// What Python says about a schedule, after the introduction.
fn in_python(text: &str) -> Option<String> {
    let sentence = spec(text).differs_in_python()?;
    let (_, difference) = sentence.split_once(": ").unwrap();
    Some(difference.to_owned())
}

#[test]
fn most_schedules_are_the_same_in_python() {
    for same in [
        "* * * * *",
        "*/15 * * * *",
        "0 */4 * * *",
        "0,30 9-17 1,15 * *",
        "0 0 1 1 *",
        "10-50/10 * * * *",
        "0 0 * 1-12 0-6",
        "0 0 * * */1",
    ] {
        assert_eq!(in_python(same), None, "{same}");
    }
}

#[test]
fn python_counts_days_of_the_week_from_monday() {
    assert_eq!(
        in_python("0 0 * * 0").unwrap(),
        "day of week `0` means Monday there (0 is Monday)"
    );
    assert_eq!(
        in_python("0 0 * * 7").unwrap(),
        "day of week `7` means nothing there (0 is Monday)"
    );
    assert_eq!(
        in_python("0 0 * * */2").unwrap(),
        "day of week `*/2` means Monday, Wednesday, Friday, Sunday there (0 is Monday)"
    );
    assert_eq!(
        in_python("0 0 * * 5-1").unwrap(),
        "day of week `5-1` means nothing there (0 is Monday)"
    );
}

#[test]
fn python_keeps_what_a_step_divides() {
    assert_eq!(
        in_python("5-59/20 * * * *").unwrap(),
        "minute `5-59/20` means 20, 40 there (a step keeps what it divides)"
    );
    assert_eq!(
        in_python("0 0 1 */3 *").unwrap(),
        "month `*/3` means 3, 6, 9, 12 there (a step keeps what it divides)"
    );
    assert_eq!(
        in_python("1-59/2 * * * *").unwrap(),
        "minute `1-59/2` means 2, 4, 6, … 58 there (a step keeps what it divides)"
    );
    assert_eq!(
        in_python("0 1-3/5 * * *").unwrap(),
        "hour `1-3/5` means nothing there (a step keeps what it divides)"
    );
}

#[test]
fn python_refuses_names_nicknames_and_mixed_lists() {
    assert!(
        spec("@daily")
            .differs_in_python()
            .unwrap()
            .ends_with("it knows no nicknames")
    );
    assert!(
        in_python("0 9 * * mon")
            .unwrap()
            .starts_with("day of week `mon` holds a name")
    );
    for mixed in ["1-5,10", "*/2,5", "1,2-4/2", "1-5/2,7-9/2", "5,*"] {
        let expected = format!("hour `{mixed}` has more than one item with a range among them");
        assert!(
            in_python(&format!("0 {mixed} * * *"))
                .unwrap()
                .starts_with(&expected),
            "{mixed}"
        );
    }
}

#[test]
fn python_combines_day_of_month_and_day_of_week_by_its_version() {
    assert!(
        in_python("0 0 13 * 0-6")
            .unwrap()
            .contains("a day must match both day of month and day of week there")
    );
    assert!(
        in_python("0 0 13 * 5")
            .unwrap()
            .ends_with("; before 1.8.1 a day must match both day of month and day of week there")
    );
    assert!(in_python("0 0 */2 * 1").unwrap().ends_with(
        "; since 1.8.1 a day need only match one of day of month and day of week there"
    ));
    assert_eq!(in_python("0 0 13 * *"), None);
}
