//! `cron explain`: prints the next instants of a schedule.

use std::io;

use jiff::Timestamp;
use microagent_core::CronSchedule;

use super::print_message;
use crate::{
    cli::{Cron, CronExplain},
    exit::Failure,
    standard::print_line,
};

pub(crate) fn run(command: Cron) -> Result<(), Failure> {
    let Cron::Explain(args) = command;
    explain(&args)
}

fn explain(args: &CronExplain) -> Result<(), Failure> {
    let schedule = CronSchedule::new(&args.spec)?.in_zone(&args.tz)?;
    let from = match &args.from {
        Some(text) => parse_instant(text)?,
        None => Timestamp::now(),
    };
    for difference in differences_in_python(&schedule) {
        print_message(difference);
    }
    print_fires(&schedule, from, args.count)
}

/// Parses an instant such as `2026-02-01T00:00:00Z`. The offset is required.
fn parse_instant(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "--from: invalid instant `{text}`: expected RFC 3339, such as 2026-02-01T00:00:00Z or 2026-02-01T01:00:00+01:00"
        ))
    })
}

/// Returns how Python MicroAgent interprets the schedule differently.
fn differences_in_python(schedule: &CronSchedule) -> impl Iterator<Item = String> {
    let zone = schedule.zone();
    let zone = (zone != "UTC").then(|| {
        format!("Python MicroAgent supports only UTC: there this schedule does not follow the clock of {zone}")
    });
    schedule.spec().differs_in_python().into_iter().chain(zone)
}

fn print_fires(schedule: &CronSchedule, from: Timestamp, count: u32) -> Result<(), Failure> {
    let mut after = from.into();
    for printed in 0..count {
        let next = schedule.next(after);
        let fire = next.ok_or_else(|| no_instant(schedule, printed))?;
        let instant = Timestamp::try_from(fire).map_err(|_| no_instant(schedule, printed))?;
        match print_line(&instant.to_string()) {
            Ok(()) => after = fire,
            // The reader, such as `head`, needs no more lines.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                return Err(Failure::failed(format!(
                    "cannot write to standard output: {error}"
                )));
            }
        }
    }
    Ok(())
}

fn no_instant(schedule: &CronSchedule, printed: u32) -> Failure {
    let further = if printed == 0 { "" } else { "further " };
    Failure::failed(format!(
        "schedule `{schedule}` has no {further}instant in the next 41 years or before the end of the calendar"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(spec: &str, zone: &str) -> Vec<String> {
        let schedule = CronSchedule::new(spec).unwrap().in_zone(zone).unwrap();
        differences_in_python(&schedule).collect()
    }

    #[test]
    fn an_instant_needs_an_offset() {
        let utc = parse_instant("2026-02-01T00:00:00Z").unwrap();
        assert_eq!(parse_instant("2026-02-01T01:00:00+01:00"), Ok(utc));
        for text in [
            "",
            "tomorrow",
            "2026-02-01",
            "2026-02-01T00:00:00",
            "2026-02-30T00:00:00Z",
        ] {
            let failure = parse_instant(text).unwrap_err();
            assert_eq!(failure.code, crate::exit::USAGE);
            assert!(
                failure.message.starts_with("--from: "),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn a_zone_other_than_utc_is_a_difference() {
        assert_eq!(differences("0 9 * * *", "UTC"), [""; 0]);
        assert!(differences("0 9 * * *", "Europe/Berlin")[0].contains("Europe/Berlin"));
        assert_eq!(differences("0 9 * * 1-5", "Europe/Berlin").len(), 2);
    }

    #[test]
    fn the_end_of_the_calendar_is_an_error() {
        let schedule = CronSchedule::new("0 0 1 1 *").unwrap();
        let failure = print_fires(&schedule, Timestamp::MAX, 1).unwrap_err();
        assert_eq!(failure.code, crate::exit::FAILED);
        assert!(
            failure.message.contains("end of the calendar"),
            "{}",
            failure.message
        );
    }
}
