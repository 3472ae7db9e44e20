//! Differences between this grammar and Python `MicroAgent` (1.8 and 1.9), for ported schedules.
//!
//! In Python, day of week 0 is Monday, a step keeps the values that it divides, and lists, ranges and words do not mix.

use super::{CronSpec, DAYS_IN_MONTH, Field, FieldSet, split_fields};

const WEEKDAYS_FROM_MONDAY: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The number of values that a sentence lists before it abridges them.
const LISTED: usize = 8;

/// Returns how Python reads the schedule differently, as a sentence.
pub(super) fn difference(spec: &CronSpec) -> Option<String> {
    if spec.source.starts_with('@') {
        return Some("Python MicroAgent refuses this schedule: it knows no nicknames".to_owned());
    }
    // A spec was split before, so this cannot fail again.
    let texts = split_fields(&spec.source).ok()?;
    let mut sets = [FieldSet::default(); 5];
    let mut clauses = Vec::new();
    for (i, field) in Field::ALL.into_iter().enumerate() {
        let Some(set) = read_field(field, texts[i]) else {
            return Some(refusal(field, texts[i]));
        };
        clauses.extend(field_difference(spec, field, texts[i], set));
        sets[i] = set;
    }
    let [before_1_9, since_1_9] = ends(&sets);
    if let (Some(_), Some(error)) = (before_1_9, since_1_9) {
        let clauses = clauses.join("; ");
        return Some(format!(
            "Python MicroAgent fails when the agent starts ({error}): {clauses}"
        ));
    }
    let rule = rule_difference(spec, sets[2], sets[4]);
    clauses.extend(rule.map(str::to_owned));
    clauses.extend(before_1_9.map(|error| {
        format!("before 1.8.1 no day matches both, and the agent fails when it starts ({error})")
    }));
    (!clauses.is_empty()).then(|| {
        let clauses = clauses.join("; ");
        format!("Python MicroAgent reads this schedule differently: {clauses}")
    })
}

/// Returns the exception of an agent's start in Python, before 1.8.1 and since, if its reading never fires: Python looks for the
/// next instant day by day for two years, and within a day without end.
fn ends(sets: &[FieldSet; 5]) -> [Option<&'static str>; 2] {
    let [minutes, hours, days, months, weekdays] = sets;
    if minutes.is_empty() || hours.is_empty() {
        return [Some("RecursionError"); 2];
    }
    let in_month = |month: u8, day: u8| day <= DAYS_IN_MONTH[usize::from(month) - 1];
    let any_date = months
        .iter()
        .any(|month| days.iter().any(|day| in_month(month, day)));
    let any_weekday = !months.is_empty() && weekdays.iter().any(|day| day < 7);
    let either = !every_day(*days) && !every_weekday(*weekdays);
    let since_1_9 = if either {
        any_date || any_weekday
    } else {
        any_date && any_weekday
    };
    [any_date && any_weekday, since_1_9].map(|fires| (!fires).then_some("ValueError"))
}

fn every_day(days: FieldSet) -> bool {
    (1..=31).all(|day| days.contains(day))
}

fn every_weekday(weekdays: FieldSet) -> bool {
    (0..7).all(|day| weekdays.contains(day))
}

/// Returns the values that Python takes from a field that the standard accepts; `None` if it raises.
fn read_field(field: Field, text: &str) -> Option<FieldSet> {
    if !text.contains(['-', '*']) {
        return text.split(',').map(|value| value.parse().ok()).collect();
    }
    let (span, step) = text.split_once('/').unwrap_or((text, "1"));
    let (first, last) = match span.split_once('-') {
        Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
        None if span == "*" => field.range().into_inner(),
        None => return None,
    };
    let step: u16 = step.parse().ok()?;
    Some(
        (first..=last)
            .filter(|value| u16::from(*value) % step == 0)
            .collect(),
    )
}

fn refusal(field: Field, text: &str) -> String {
    let reason = if text.bytes().any(|b| b.is_ascii_alphabetic()) {
        "holds a name, and it knows numbers only"
    } else {
        "has more than one item with a range among them, and it knows lists of numbers only"
    };
    format!("Python MicroAgent refuses this schedule: {field} `{text}` {reason}")
}

fn field_difference(spec: &CronSpec, field: Field, text: &str, set: FieldSet) -> Option<String> {
    if from_sunday(field, set) == spec.set_of(field) {
        return None;
    }
    let (values, reason) = match field {
        Field::DayOfWeek => (weekday_names(set), "0 is Monday"),
        _ => (
            set.iter().map(|value| value.to_string()).collect(),
            "a step keeps what it divides",
        ),
    };
    if values.is_empty() {
        return Some(format!("{field} `{text}` means nothing there ({reason})"));
    }
    Some(format!(
        "{field} `{text}` means {} there ({reason})",
        listed(&values)
    ))
}

/// Python's set in the standard's numbers. Its day of week 7 is allowed, but does not match any day.
fn from_sunday(field: Field, set: FieldSet) -> FieldSet {
    match field {
        Field::DayOfWeek => set
            .iter()
            .filter(|day| *day < 7)
            .map(|day| (day + 1) % 7)
            .collect(),
        _ => set,
    }
}

fn weekday_names(set: FieldSet) -> Vec<String> {
    let names = set
        .iter()
        .filter_map(|day| WEEKDAYS_FROM_MONDAY.get(usize::from(day)));
    names.map(|&name| name.to_owned()).collect()
}

fn listed(values: &[String]) -> String {
    match values {
        [first, second, third, .., last] if values.len() > LISTED => {
            format!("{first}, {second}, {third}, … {last}")
        }
        _ => values.join(", "),
    }
}

/// Returns whether Python combines day of month and day of week otherwise, given its own reading of both.
fn rule_difference(spec: &CronSpec, days: FieldSet, weekdays: FieldSet) -> Option<&'static str> {
    let (all_days, all_weekdays) = (every_day(days), every_weekday(weekdays));
    let since_1_9 = |by_date: bool, by_weekday: bool| match (all_days, all_weekdays) {
        (false, false) => by_date || by_weekday,
        _ => by_date && by_weekday,
    };
    let differs = |rule: &dyn Fn(bool, bool) -> bool| {
        (1..=31).any(|day| {
            (0..7).any(|weekday| {
                let (by_date, by_weekday) = (days.contains(day), weekdays.contains(weekday));
                rule(by_date, by_weekday) != spec.day_rule(by_date, by_weekday)
            })
        })
    };
    let before_1_9 = |by_date: bool, by_weekday: bool| by_date && by_weekday;
    let clause = match (differs(&before_1_9), differs(&since_1_9)) {
        (true, true) => "a day must match both day of month and day of week there",
        (true, false) => "before 1.8.1 a day must match both day of month and day of week there",
        (false, true) => {
            "since 1.8.1 a day need only match one of day of month and day of week there"
        }
        (false, false) => return None,
    };
    Some(clause)
}
