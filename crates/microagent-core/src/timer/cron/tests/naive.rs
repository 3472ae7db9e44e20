//! A second reading of the schedule language, slow and plain, that shares nothing with the first: it asks of each value
//! whether the text lets it through.

use jiff::civil::{Date, DateTime, date};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(super) const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A schedule as its five texts.
#[derive(Clone, Debug)]
pub(super) struct Naive([String; 5]);

impl Naive {
    pub(super) fn of(text: &str) -> Self {
        let nickname = NICKNAMES.iter().find(|(nickname, _)| *nickname == text);
        let fields = nickname.map_or(text, |(_, fields)| fields).to_lowercase();
        let fields: Vec<_> = fields.split_whitespace().map(str::to_owned).collect();
        Self(fields.try_into().expect("five fields"))
    }

    /// Neither minute nor hour starts with a star.
    pub(super) fn is_fixed_time(&self) -> bool {
        !self.0[0].starts_with('*') && !self.0[1].starts_with('*')
    }

    pub(super) fn is_minute(&self, local: DateTime) -> bool {
        let (minute, hour) = (local.minute(), local.hour());
        self.is_day(local.date())
            && items(&self.0[0]).any(|item| reaches(item, 0, 59, &[], minute.into()))
            && items(&self.0[1]).any(|item| reaches(item, 0, 23, &[], hour.into()))
    }

    /// By the rule of stars.
    pub(super) fn is_day(&self, date: Date) -> bool {
        let [_, _, days, months, weekdays] = &self.0;
        let weekday = i64::from(date.weekday().to_sunday_zero_offset());
        let by_date = items(days).any(|item| reaches(item, 1, 31, &[], date.day().into()));
        // Sunday has two numbers, and a range may run into the next week, up to its Saturday.
        let by_weekday = items(weekdays).any(|item| {
            [weekday, weekday + 7, weekday + 14]
                .into_iter()
                .any(|day| reaches(item, 0, 7, &DAYS, day))
        });
        let by_month = items(months).any(|item| reaches(item, 1, 12, &MONTHS, date.month().into()));
        let both = days.starts_with('*') || weekdays.starts_with('*');
        by_month
            && if both {
                by_date && by_weekday
            } else {
                by_date || by_weekday
            }
    }

    /// Returns true if it fires on any day: every date has had every weekday within 28 years.
    pub(super) fn ever_fires(&self) -> bool {
        let dates = date(2001, 1, 1).series(jiff::ToSpan::days(1));
        dates.take(28 * 366).any(|date| self.is_day(date))
    }
}

fn items(field: &str) -> impl Iterator<Item = &str> {
    field.split(',')
}

/// Returns true if one item of a list, counted up from its start, reaches this value.
fn reaches(item: &str, low: i64, high: i64, names: &[&str], wanted: i64) -> bool {
    let number = |text: &str| match names.iter().position(|name| *name == text) {
        // The names of a field begin where its numbers do.
        Some(index) => low + index as i64,
        None => text.parse().expect("a number or a name"),
    };
    let (span, step) = match item.split_once('/') {
        Some((span, step)) => (span, step.parse().expect("a step")),
        None => (item, 1),
    };
    let (first, last) = match span.split_once('-') {
        Some((first, last)) => (number(first), number(last)),
        None if span == "*" => (low, high),
        None => (number(span), number(span)),
    };
    let last = if last < first { last + 7 } else { last };
    let mut value = first;
    while value <= last {
        if value == wanted {
            return true;
        }
        value += step;
    }
    false
}
