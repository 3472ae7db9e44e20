//! The problems of settings files. They are collected, so that one run shows all of them.

use std::fmt;

use super::place::Place;

/// A problem of a settings file: its place, what is wrong, and what is expected or available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    place: Place,
    message: String,
    /// True if the key is invalid, false if its value is.
    is_of_key: bool,
}

impl SettingsProblem {
    /// Returns the place of the invalid value.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All problems of one or more settings files, file by file and in the order of their lines.
///
/// It prints one problem per line.
///
/// ```
/// use marun::Settings;
///
/// let text = "[agent.x]\nbackend = 'X'\ngrase = 5\nrestart = 1\n";
/// let error = Settings::parse("settings.toml".as_ref(), text).unwrap_err();
/// let lines: Vec<_> = error.problems().iter().map(|problem| problem.place().line()).collect();
/// assert_eq!(lines, [Some(3), Some(4)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(Vec<SettingsProblem>);

impl SettingsError {
    pub(super) fn new(place: Place, message: String) -> Self {
        Self(vec![SettingsProblem {
            place,
            message,
            is_of_key: false,
        }])
    }

    /// Creates the error of an unknown key. It is kept in addition to a problem of the value.
    pub(super) fn of_key(place: Place, message: String) -> Self {
        Self(vec![SettingsProblem {
            place,
            message,
            is_of_key: true,
        }])
    }

    /// Returns the problems; there is at least one.
    #[must_use]
    pub fn problems(&self) -> &[SettingsProblem] {
        &self.0
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// A collector of problems.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<SettingsProblem>);

impl Problems {
    /// Returns the value, or adds the problems and returns `None`.
    pub(crate) fn keep<T>(&mut self, result: Result<T, SettingsError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.extend(error.0);
                None
            }
        }
    }

    /// Adds the problems of another collector, except those of values that have a problem already,
    /// because a second problem would be a consequence of the first.
    pub(crate) fn extend(&mut self, other: Self) {
        let known: Vec<Place> = self.0.iter().map(|known| known.place.clone()).collect();
        let new = other.0.into_iter();
        self.0
            .extend(new.filter(|problem| problem.is_of_key || !known.contains(&problem.place)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a top-level key, or the file as a whole, has a problem.
    pub(crate) fn concern_the_whole_file(&self) -> bool {
        self.0
            .iter()
            .any(|problem| !problem.place.key().contains('.'))
    }

    /// Returns the value if there are no problems.
    ///
    /// # Errors
    /// All problems, sorted.
    pub(crate) fn or_else<T>(mut self, value: impl FnOnce() -> T) -> Result<T, SettingsError> {
        if self.0.is_empty() {
            return Ok(value());
        }
        let mut files: Vec<_> = self
            .0
            .iter()
            .map(|found| found.place.file().to_owned())
            .collect();
        files.dedup();
        let file =
            |found: &SettingsProblem| files.iter().position(|file| file == found.place.file());
        self.0
            .sort_by_key(|found| (file(found), found.place.line()));
        Err(SettingsError(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn problems_are_sorted_by_file_and_line_and_a_value_has_one() {
        let at = |file: &str, line: usize| Place::top(Path::new(file)).child("k", Some(line));
        let mut problems = Problems::default();
        for (file, line) in [("b", 2), ("a", 3), ("a", 1), ("b", 1)] {
            assert_eq!(
                problems.keep::<()>(Err(at(file, line).error("wrong"))),
                None
            );
        }
        let mut again = Problems::default();
        again.keep::<()>(Err(at("a", 3).error("wrong in a second way")));
        problems.extend(again);
        let error = problems.or_else(|| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "b:1: k: wrong\nb:2: k: wrong\na:1: k: wrong\na:3: k: wrong"
        );
        assert_eq!(Problems::default().or_else(|| 7), Ok(7));
    }
}
