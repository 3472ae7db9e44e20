//! The schedule language of Vixie cron: five fields, or a nickname, as sets of values.
//!
//! This module describes the values that a schedule allows. The runtime computes its instants, because they depend on zones, leap
//! years and clock changes.

mod error;
mod field;
mod grammar;
mod python;
mod set;

use std::{fmt, str::FromStr, sync::Arc};

use crate::suggest::unknown;

pub use error::CronError;
pub use field::Field;
pub use set::FieldSet;

/// The greatest number of days of each month, January first.
const DAYS_IN_MONTH: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A schedule: minute, hour, day of month, month and day of week.
///
/// A step counts from the start of its range. If day of month or day of week starts with `*`, a day must match both;
/// otherwise one of them is enough.
///
/// ```
/// use microagent_schema::CronSpec;
///
/// let workdays = CronSpec::parse("0 9-17/4 * * mon-fri").unwrap();
/// assert_eq!(workdays.hours().iter().collect::<Vec<_>>(), [9, 13, 17]);
/// assert_eq!(workdays.days_of_week().iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
/// assert_eq!(workdays.to_string(), "0 9-17/4 * * mon-fri");
/// assert!(CronSpec::parse("0 0 31 4 *").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CronSpec {
    source: Arc<str>,
    minutes: FieldSet,
    hours: FieldSet,
    days_of_month: FieldSet,
    months: FieldSet,
    days_of_week: FieldSet,
    stars: Stars,
}

/// For each field, whether it starts with `*`: `*/2` does, `0-59` does not.
type Stars = [bool; 5];

impl CronSpec {
    /// Reads a schedule: five fields separated by blanks, or `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`,
    /// `@midnight` or `@hourly`.
    ///
    /// # Errors
    /// [`CronError`], with the invalid field; also for a schedule that can never fire.
    ///
    /// ```
    /// use microagent_schema::CronSpec;
    ///
    /// assert!(CronSpec::parse("*/15 * * * *").is_ok());
    /// assert_eq!(
    ///     CronSpec::parse("5/10 * * * *").unwrap_err().to_string(),
    ///     "minute: `5/10` has a step but no range: write `5-59/10`"
    /// );
    /// ```
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let source = text.trim_ascii();
        let texts = split_fields(source)?;
        let set = |i: usize| grammar::parse_field(Field::ALL[i], texts[i]);
        let spec = Self {
            source: source.into(),
            minutes: set(0)?,
            hours: set(1)?,
            days_of_month: set(2)?,
            months: set(3)?,
            days_of_week: set(4)?,
            stars: texts.map(|field| field.starts_with('*')),
        };
        spec.refuse_never()?;
        Ok(spec)
    }

    fn refuse_never(&self) -> Result<(), CronError> {
        let mut dates = (1..)
            .zip(DAYS_IN_MONTH)
            .flat_map(|(month, days)| (1..=days).map(move |day| (month, day)));
        if dates.any(|(month, day)| (0..7).any(|weekday| self.matches_date(month, day, weekday))) {
            return Ok(());
        }
        let message = "this schedule can never fire: none of its months has such a day";
        Err(CronError::of(Field::DayOfMonth, message))
    }

    /// Returns the minutes of the hour, 0 to 59.
    #[must_use]
    pub fn minutes(&self) -> FieldSet {
        self.minutes
    }

    /// Returns the hours of the day, 0 to 23.
    #[must_use]
    pub fn hours(&self) -> FieldSet {
        self.hours
    }

    /// Returns the days of the month, 1 to 31.
    #[must_use]
    pub fn days_of_month(&self) -> FieldSet {
        self.days_of_month
    }

    /// Returns the months, 1 to 12.
    #[must_use]
    pub fn months(&self) -> FieldSet {
        self.months
    }

    /// Returns the days of the week, 0 (Sunday) to 6.
    #[must_use]
    pub fn days_of_week(&self) -> FieldSet {
        self.days_of_week
    }

    /// Returns whether the day of month starts with `*`.
    #[must_use]
    pub fn dom_is_star(&self) -> bool {
        self.stars[2]
    }

    /// Returns whether the day of week starts with `*`.
    #[must_use]
    pub fn dow_is_star(&self) -> bool {
        self.stars[4]
    }

    /// Returns whether the schedule has fixed times of day: neither minute nor hour starts with `*`. Such a schedule fires once
    /// if the clock repeats an hour, and right after an hour that the clock skips; other schedules follow the clock.
    ///
    /// ```
    /// use microagent_schema::CronSpec;
    ///
    /// assert!(CronSpec::parse("0,30 2 * * *").unwrap().is_fixed_time());
    /// assert!(!CronSpec::parse("0 */2 * * *").unwrap().is_fixed_time());
    /// ```
    #[must_use]
    pub fn is_fixed_time(&self) -> bool {
        !self.stars[0] && !self.stars[1]
    }

    /// Returns whether the schedule has times on a date, by the rule of day of month *and* or *or* day of week.
    ///
    /// `month` counts from 1, `day_of_week` from 0 for Sunday.
    ///
    /// ```
    /// use microagent_schema::CronSpec;
    ///
    /// let either = CronSpec::parse("0 0 13 * 5").unwrap();
    /// assert!(either.matches_date(2, 6, 5) && either.matches_date(2, 13, 0));
    /// let both = CronSpec::parse("0 0 */2 * 1").unwrap();
    /// assert!(both.matches_date(1, 5, 1) && !both.matches_date(1, 12, 1));
    /// ```
    #[must_use]
    pub fn matches_date(&self, month: u8, day_of_month: u8, day_of_week: u8) -> bool {
        let by_date = self.days_of_month.contains(day_of_month);
        let by_weekday = self.days_of_week.contains(day_of_week);
        self.months.contains(month) && self.day_rule(by_date, by_weekday)
    }

    fn day_rule(&self, by_date: bool, by_weekday: bool) -> bool {
        if self.dom_is_star() || self.dow_is_star() {
            by_date && by_weekday
        } else {
            by_date || by_weekday
        }
    }

    /// Returns how Python `MicroAgent` reads the same text differently, as a sentence; `None` if it does not.
    ///
    /// ```
    /// use microagent_schema::CronSpec;
    ///
    /// let sentence = CronSpec::parse("0 9 * * 1-5").unwrap().differs_in_python().unwrap();
    /// assert_eq!(
    ///     sentence,
    ///     "Python MicroAgent reads this schedule differently: \
    ///      day of week `1-5` means Tuesday, Wednesday, Thursday, Friday, Saturday there (0 is Monday)"
    /// );
    /// assert_eq!(CronSpec::parse("*/15 9 * * *").unwrap().differs_in_python(), None);
    /// ```
    #[must_use]
    pub fn differs_in_python(&self) -> Option<String> {
        python::difference(self)
    }

    /// Returns the set of a field, in the order of [`Field::ALL`].
    fn set_of(&self, field: Field) -> FieldSet {
        match field {
            Field::Minute => self.minutes,
            Field::Hour => self.hours,
            Field::DayOfMonth => self.days_of_month,
            Field::Month => self.months,
            Field::DayOfWeek => self.days_of_week,
        }
    }
}

/// Returns the texts of the five fields; a nickname is replaced by its fields.
fn split_fields(source: &str) -> Result<[&str; 5], CronError> {
    let fields = if source.starts_with('@') {
        fields_of_nickname(source)?
    } else {
        source
    };
    let texts: Vec<_> = fields.split_ascii_whitespace().collect();
    <[&str; 5]>::try_from(texts).map_err(|texts| {
        let found = texts.len();
        CronError::whole(format!(
            "5 fields are expected (minute hour day-of-month month day-of-week), but `{source}` has {found}"
        ))
    })
}

/// The nicknames, for messages.
const NICKNAMES: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

fn fields_of_nickname(nickname: &str) -> Result<&'static str, CronError> {
    Ok(match nickname.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            return Err(CronError::whole(unknown("schedule", nickname, NICKNAMES)));
        }
    })
}

impl FromStr for CronSpec {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        Self::parse(text)
    }
}

impl fmt::Display for CronSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
