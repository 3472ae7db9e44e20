//! The place of a value in a settings file, for messages.

use std::{fmt, path::Path, path::PathBuf, sync::Arc};

use super::problems::SettingsError;

/// The place of a value: the file, the line if the format has lines, and the path of keys.
///
/// It prints as the beginning of a message: `settings.toml:12: agent.user_agent.bus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: Arc<Path>,
    line: Option<usize>,
    key: String,
}

impl Place {
    /// Returns the place of a file as a whole.
    pub(crate) fn top(file: &Path) -> Self {
        Self {
            file: Arc::from(file),
            line: None,
            key: String::new(),
        }
    }

    /// Returns the place of the key `name` in this table.
    pub(crate) fn child(&self, name: &str, line: Option<usize>) -> Self {
        let key = if self.key.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.key)
        };
        Self {
            file: Arc::clone(&self.file),
            line,
            key,
        }
    }

    /// Returns the place of the element `index` of this array, counted from 0.
    pub(crate) fn element(&self, index: usize, line: Option<usize>) -> Self {
        Self {
            file: Arc::clone(&self.file),
            line,
            key: format!("{}[{index}]", self.key),
        }
    }

    /// Returns the same place on another line.
    pub(crate) fn at_line(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// Returns the file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the path of keys, with dots. It is empty for the file as a whole.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the line, counted from 1. It is `None` for JSON files, and for a TOML file as a
    /// whole.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// Returns the folder at which relative paths in this file start.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        std::path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_owned())
    }

    /// Creates an error at this place.
    pub(crate) fn error(&self, message: impl Into<String>) -> SettingsError {
        SettingsError::new(self.clone(), message.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_begins_with_file_line_and_key() {
        let place = Place::top(Path::new("a/settings.toml"))
            .child("agent", Some(1))
            .child("user", Some(2))
            .child("command", Some(3))
            .element(0, Some(4));
        let error = place.error("must be a string");
        assert_eq!(
            error.to_string(),
            "a/settings.toml:4: agent.user.command[0]: must be a string"
        );
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        assert_eq!(
            Place::top(Path::new("/etc/marun/settings.toml")).folder(),
            Path::new("/etc/marun")
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(Place::top(Path::new("settings.toml")).folder(), here);
    }
}
