//! The forms that the values of options have, and the sentences about those that do not fit.

use serde_json::{Number, Value};

use crate::{LONGEST_DURATION, parse_duration, suggest};

/// The form of the value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A duration: seconds as a number, or text with a unit. An attribute takes any expression of
    /// type `Duration` too.
    Time,
    /// A whole number. An attribute takes any expression of that type too.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(Words),
    /// A text; the field says what it is, for errors.
    Text(&'static str),
    /// Durations: `retry(1, 4)` in an attribute, a list elsewhere.
    Times,
    /// Texts by free names: `driver(name = "value")` in an attribute, a table elsewhere.
    Texts,
    /// `true`, `false`, or words by fixed names: `once(crashed = run)` in an attribute, a table
    /// elsewhere.
    Choices {
        /// The type that holds the choices.
        of: &'static str,
        /// The names with their words.
        choices: &'static [(&'static str, Words)],
    },
}

/// The words that an option can have as its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// The enumeration; the variant of `drop_oldest` is `DropOldest`.
    pub of: &'static str,
    /// The words.
    pub words: &'static [&'static str],
    /// A word that other handlers have, with the reason why it is not allowed here.
    pub refused: Option<(&'static str, &'static str)>,
}

impl Form {
    /// Returns what is allowed, as the end of an error.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Time => {
                "seconds (`30`, `0.5`) or text with a unit (`\"1500ms\"`, `\"2m\"`) are allowed"
                    .to_owned()
            }
            Self::Count => "a whole number is allowed".to_owned(),
            Self::Flag => "`true` and `false` are allowed".to_owned(),
            Self::Word(words) => suggest::available(words.words),
            Self::Text(what) => format!("{what} is allowed, as a text in quotes"),
            Self::Times => "a list of durations is allowed".to_owned(),
            Self::Texts => "a table of texts is allowed".to_owned(),
            Self::Choices { .. } => "`true`, `false` and a table are allowed".to_owned(),
        }
    }

    /// Checks a given value as far as its form says; the option's type reads it.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Word(words), value) => words.check(value),
            (Self::Time, Value::Number(seconds)) => check_length(seconds),
            (Self::Times, Value::Array(times)) => {
                let mut numbers = times.iter().filter_map(Value::as_number);
                numbers.try_for_each(check_length)
            }
            (Self::Choices { choices, .. }, Value::Object(given)) => {
                given.iter().try_for_each(|(name, value)| {
                    let words = choices.iter().find(|(known, _)| known == name);
                    let known = choices.iter().map(|(name, _)| *name);
                    let (_, words) =
                        words.ok_or_else(|| suggest::unknown("option", name, known))?;
                    words
                        .check(value)
                        .map_err(|error| format!("`{name}`: {error}"))
                })
            }
            _ => Ok(()),
        }
    }
}

/// Checks that a number of seconds can be written; those of a manifest may be longer, because a builder
/// takes any duration.
fn check_length(seconds: &Number) -> Result<(), String> {
    let seconds = seconds.as_f64().unwrap_or_default();
    if seconds <= LONGEST_DURATION.as_secs_f64() {
        return Ok(());
    }
    let refused = parse_duration(&format!("{seconds:.0}"));
    refused.map(drop).map_err(|error| error.to_string())
}

impl Words {
    /// Returns the words of a type.
    pub(super) const fn of(of: &'static str, words: &'static [&'static str]) -> Self {
        Self {
            of,
            words,
            refused: None,
        }
    }

    /// Checks that a value is one of the words.
    ///
    /// # Errors
    /// Lists the available words, with the nearest word first.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let Some(word) = value.as_str() else {
            return Err(format!(
                "invalid value `{value}` ({})",
                suggest::available(self.words)
            ));
        };
        match self.refused {
            _ if self.words.contains(&word) => Ok(()),
            Some((refused, reason)) if word == refused => {
                Err(format!("{reason} ({})", suggest::available(self.words)))
            }
            _ => Err(suggest::unknown("value", word, self.words.iter().copied())),
        }
    }
}
