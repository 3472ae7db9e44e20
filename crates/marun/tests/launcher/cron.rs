//! `cron explain`: the times of a schedule on standard output, everything else on standard error.

use crate::group::{marun, output_of};

fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
    output_of(marun(), &[&["cron", "explain"], arguments].concat())
}

/// The times that are printed after a start.
fn fires(spec: &str, zone: &str, from: &str, count: &str) -> String {
    let (code, out, message) = explain(&[spec, "--tz", zone, "--from", from, "-n", count]);
    assert_eq!(code, Some(0), "{message}");
    out
}

#[test]
fn each_time_is_a_line_in_utc() {
    let (code, out, message) =
        explain(&["0 0 13 * 5", "--from", "2026-02-01T00:00:00Z", "-n", "3"]);
    let three = "2026-02-06T00:00:00Z\n2026-02-13T00:00:00Z\n2026-02-20T00:00:00Z\n";
    assert_eq!((code, out.as_str()), (Some(0), three), "{message}");
    let gap = fires(
        "30 2 * * *",
        "America/New_York",
        "2025-03-08T12:00:00Z",
        "2",
    );
    assert_eq!(gap, "2025-03-09T07:00:00Z\n2025-03-10T06:30:00Z\n");
    let midnight = fires("* * * * *", "UTC", "2027-01-01T00:59:00+01:00", "1");
    assert_eq!(
        midnight, "2027-01-01T00:00:00Z\n",
        "the start is an instant with an offset"
    );
}

#[test]
fn without_a_start_it_is_now_and_five() {
    let (code, out, _) = explain(&["@daily"]);
    assert_eq!((code, out.lines().count()), (Some(0), 5));
    assert!(
        out.lines().all(|line| line.ends_with("T00:00:00Z")),
        "{out}"
    );
}

#[test]
fn a_schedule_that_python_reads_differently_has_a_note() {
    let friday = "marun: Python MicroAgent reads this schedule differently: day of week `5` means Saturday there (0 is Monday)";
    let (_, _, message) = explain(&["0 0 * * 5", "-n", "1"]);
    assert_eq!(message, format!("{friday}\n"));
    let (_, _, message) = explain(&["@daily", "-n", "1"]);
    assert_eq!(
        message,
        "marun: Python MicroAgent refuses this schedule: it knows no nicknames\n"
    );
    let (_, _, message) = explain(&["0 9 * * *", "-n", "1", "--tz", "Europe/Berlin"]);
    assert!(message.contains("supports only UTC"), "{message}");
    let (_, _, message) = explain(&["*/15 9 * * *", "-n", "1"]);
    assert_eq!(message, "", "both read it alike");
}

#[test]
fn each_refusal_names_its_field() {
    let cases = [
        ("60 * * * *", "minute: "),
        ("0 24 * * *", "hour: "),
        ("0 0 32 * *", "day of month: "),
        ("0 0 0 * *", "day of month: "),
        ("0 0 1 13 *", "month: "),
        ("0 0 * * 8", "day of week: "),
        ("5/10 * * * *", "minute: "),
        ("*/0 * * * *", "minute: "),
        ("0 1,,2 * * *", "hour: "),
        ("0 0 , * *", "day of month: "),
        ("-5 * * * *", "minute: "),
        ("0 -1 * * *", "hour: "),
        ("0 17-9 * * *", "hour: "),
        ("0 0 1 dec-jan *", "month: "),
        ("0 0 1 fri *", "month: "),
        ("0 0 31 4 *", "day of month: "),
        ("* * * *", "5 fields are expected"),
        ("* * * * * *", "5 fields are expected"),
        ("", "5 fields are expected"),
        ("@sometimes", "@hourly"),
    ];
    for (spec, expected) in cases {
        let (code, out, message) = explain(&[spec]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{spec}: {message}");
        let begin = format!("marun: schedule `{spec}`: ");
        assert!(message.starts_with(&begin), "{message}");
        assert!(message.contains(expected), "{spec}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn wrong_arguments_say_what_is_allowed() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["@daily", "--tz", "Europe/Berln"],
            "unknown time zone `Europe/Berln`",
        ),
        (&["@daily", "--from", "tomorrow"], "2026-02-01T00:00:00Z"),
        (&["@daily", "-n", "0"], "-n <N>"),
        (&[], "<SPEC>"),
    ];
    for (arguments, expected) in cases {
        let (code, out, message) = explain(arguments);
        assert_eq!(
            (code, out.as_str()),
            (Some(2), ""),
            "{arguments:?}: {message}"
        );
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
