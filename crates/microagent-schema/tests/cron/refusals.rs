//! Tests of the schedules that are rejected, and of the field that each error names.

use microagent_schema::{CronSpec, Field};

use super::refusal;

fn assert_refused(text: &str, field: Field, sentence: &str) {
    assert_eq!(refusal(text), (Some(field), sentence.to_owned()), "{text}");
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
    for step in ["0", "00", "", "-1", "x", "5/5", "99999"] {
        assert_refused(
            &format!("0 0 */{step} * *"),
            Field::DayOfMonth,
            &format!(
                "day of month: invalid step `{step}` in `*/{step}`: expected a whole number from 1 to 65535"
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
        "minute: invalid range `5-`: expected two ends in 0-59",
    );
    for nonsense in [
        "x", "?", "L", "+5", "1.5", "**", "*5", "1~5", "jan", "٣", "2-3-4",
    ] {
        let (field, sentence) = refusal(&format!("0 {nonsense} * * *"));
        assert_eq!(field, Some(Field::Hour), "{nonsense}");
        assert!(
            sentence.starts_with("hour: invalid value `")
                && sentence.contains("`: expected 0-23, or `*`"),
            "{sentence}"
        );
    }
    let (_, sentence) = refusal("0 0 * january *");
    assert!(
        sentence.starts_with("month: invalid value `january`: expected 1-12 or jan-dec"),
        "{sentence}"
    );
    let (_, sentence) = refusal("0 0 * * jan");
    assert!(
        sentence.starts_with("day of week: invalid value `jan`: expected 0-7 or sun-sat"),
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
    // The schedule matches the days 1 and 31, and February has a day 1.
    assert!(CronSpec::parse("0 0 */30 2 *").is_ok());
}

#[test]
fn a_day_of_week_saves_an_impossible_day_of_month() {
    assert!(CronSpec::parse("0 0 31 4 1").is_ok());
    assert!(CronSpec::parse("0 0 30 2 sun").is_ok());
    assert!(CronSpec::parse("0 0 29 2 *").is_ok());
}
