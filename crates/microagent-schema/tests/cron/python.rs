//! Tests of the schedules that Python's MicroAgent interprets differently.

use super::spec;

/// Returns the difference that is reported for a schedule, without the introduction.
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

/// Measured on 1.8.0 and 1.9.0.
#[test]
fn a_schedule_that_python_never_finds_an_instant_of_fails_there_at_the_start() {
    for (text, expected) in [
        (
            "0 0 * * 7",
            "(ValueError): day of week `7` means nothing there (0 is Monday)",
        ),
        (
            "0 0 * * 5-1",
            "(ValueError): day of week `5-1` means nothing there (0 is Monday)",
        ),
        (
            "0 0 1-31/40 * *",
            "(ValueError): day of month `1-31/40` means nothing there (a step keeps what it divides)",
        ),
        (
            "0 0 31 1-4/2 *",
            "(ValueError): month `1-4/2` means 2, 4 there (a step keeps what it divides)",
        ),
        (
            "0 1-3/5 * * *",
            "(RecursionError): hour `1-3/5` means nothing there (a step keeps what it divides)",
        ),
        (
            "50-59/20 * * * *",
            "(RecursionError): minute `50-59/20` means nothing there (a step keeps what it divides)",
        ),
    ] {
        let sentence = spec(text).differs_in_python().unwrap();
        let expected = format!("Python MicroAgent fails when the agent starts {expected}");
        assert_eq!(sentence, expected);
    }
}

/// Since 1.8.1, a match of one of the two days is enough.
#[test]
fn a_schedule_that_python_found_no_instant_of_before_1_8_1_failed_there_until_then() {
    assert_eq!(
        in_python("0 0 13 * 7").unwrap(),
        "day of week `7` means nothing there (0 is Monday); before 1.8.1 a day must match both day of month and day of \
         week there; before 1.8.1 no day matches both, and the agent fails when it starts (ValueError)"
    );
    assert!(in_python("0 0 1-31/40 * 3").unwrap().ends_with(
        "before 1.8.1 no day matches both, and the agent fails when it starts (ValueError)"
    ));
    // The list has another value besides 7, so at least one day matches.
    assert_eq!(
        in_python("0 0 * * 0,7").unwrap(),
        "day of week `0,7` means Monday there (0 is Monday)"
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
