//! The five fields: their names, ranges and words.

use std::fmt;

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One of the five fields of a schedule.
///
/// ```
/// use microagent_schema::Field;
///
/// assert_eq!(Field::DayOfMonth.to_string(), "day of month");
/// assert_eq!(Field::DayOfMonth.range(), 1..=31);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The first: 0 to 59.
    Minute,
    /// The second: 0 to 23.
    Hour,
    /// The third: 1 to 31.
    DayOfMonth,
    /// The fourth: 1 to 12, or `jan` to `dec`.
    Month,
    /// The fifth: 0 to 7, both of which are Sunday, or `sun` to `sat`.
    DayOfWeek,
}

impl Field {
    /// Every field, in the order in which a schedule lists them.
    pub const ALL: [Self; 5] = [
        Self::Minute,
        Self::Hour,
        Self::DayOfMonth,
        Self::Month,
        Self::DayOfWeek,
    ];

    /// Returns the numbers that the field may hold.
    #[must_use]
    pub fn range(self) -> std::ops::RangeInclusive<u8> {
        match self {
            Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::DayOfMonth => 1..=31,
            Self::Month => 1..=12,
            Self::DayOfWeek => 0..=7,
        }
    }

    /// Returns the number that a word stands for, in any case.
    pub(super) fn value_of_word(self, word: &str) -> Option<u8> {
        let index = self
            .words()
            .iter()
            .position(|known| known.eq_ignore_ascii_case(word))?;
        u8::try_from(index)
            .ok()
            .map(|index| self.range().start() + index)
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Month => MONTHS,
            Self::DayOfWeek => WEEKDAYS,
            _ => &[],
        }
    }

    /// Returns the values that the field may hold, for messages: `1-12 or jan-dec`.
    pub(super) fn allowed(self) -> String {
        let numbers = self.allowed_numbers();
        match self.words() {
            [first, .., last] => format!("{numbers} or {first}-{last}"),
            _ => numbers,
        }
    }

    /// Returns the numbers that the field may hold, for messages: `1-12`.
    pub(super) fn allowed_numbers(self) -> String {
        let range = self.range();
        format!("{}-{}", range.start(), range.end())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}
