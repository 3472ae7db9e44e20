//! Reads one table of a settings file, key by key. It checks types and rejects unknown keys.

use std::time::Duration;

use microagent_schema::{
    parse_duration,
    suggest::{unknown, unknown_here},
};

use super::node::{Node, Value};
use super::place::Place;
use super::problems::{Problems, SettingsError};

/// A value of a settings file and its place, which later checks can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The place of the value.
    pub place: Place,
}

/// A table whose keys are read one by one. It collects their problems.
pub(crate) struct Section {
    place: Place,
    entries: Vec<(String, Node)>,
    problems: Problems,
    has_unknown_keys: bool,
}

impl Section {
    /// Opens a table that may hold only these keys. An unknown key is a problem of the section.
    ///
    /// # Errors
    /// The node is not a table.
    pub(crate) fn open(node: Node, keys: &[&str]) -> Result<Self, SettingsError> {
        let (place, entries) = into_table(node)?;
        let mut problems = Problems::default();
        let unknown = entries
            .iter()
            .filter(|(key, _)| !keys.contains(&key.as_str()));
        for (key, node) in unknown {
            let message = unknown_here("key", key, keys.iter().copied());
            let error = SettingsError::of_key(node.place.clone(), message);
            problems.keep::<()>(Err(error));
        }
        Ok(Self {
            place,
            entries,
            has_unknown_keys: !problems.is_empty(),
            problems,
        })
    }

    /// Returns the place of the table.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the value, or keeps its problems until [`finish`](Self::finish).
    pub(crate) fn keep<T>(&mut self, result: Result<T, SettingsError>) -> Option<T> {
        self.problems.keep(result)
    }

    /// Adds the problem of a missing key, unless there is an unknown key, which may be this one
    /// misspelt.
    pub(crate) fn missing(&mut self, message: impl Into<String>) {
        if !self.has_unknown_keys {
            let error = self.place.error(message);
            self.keep::<()>(Err(error));
        }
    }

    /// Returns the value that was read from this section.
    ///
    /// # Errors
    /// All problems of the section.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, SettingsError> {
        let place = self.place;
        match (self.problems.or_else(|| ()), value) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(place.error("the table is not complete")),
        }
    }

    /// Returns the problems so far, for a section of which a part can be used although another part
    /// is wrong.
    pub(crate) fn into_problems(self) -> Problems {
        self.problems
    }

    /// Returns whether the table has unknown keys.
    pub(crate) fn has_unknown_keys(&self) -> bool {
        self.has_unknown_keys
    }

    /// Returns whether the table has the key and it was not taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// Takes the value of a key, whatever its type.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Takes the value of a key and reads it.
    fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Node) -> Result<T, SettingsError>,
    ) -> Option<T> {
        let node = self.take(key)?;
        self.keep(read(node))
    }

    /// Takes the tables of a table: `[bus.main]`, `[bus.other]`.
    pub(crate) fn tables(&mut self, key: &str) -> Vec<(String, Node)> {
        let tables = self.read(key, |node| into_table(node).map(|(_, entries)| entries));
        tables.unwrap_or_default()
    }

    /// Takes a string that is not empty.
    pub(crate) fn string(&mut self, key: &str) -> Option<Located<String>> {
        self.read(key, into_string)
    }

    /// Takes a string that must be there.
    pub(crate) fn required(&mut self, key: &str) -> Option<Located<String>> {
        let node = self.take(key);
        match node {
            Some(node) => self.keep(into_string(node)),
            None => {
                self.missing(format!("missing key `{key}`"));
                None
            }
        }
    }

    /// Takes one of these words, which must be there.
    pub(crate) fn one_of<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let Located { value, place } = self.required(key)?;
        let known = words.iter().find(|(word, _)| *word == value);
        let known = known.map(|(_, meaning)| *meaning);
        self.keep(known.ok_or_else(|| {
            let words = words.iter().map(|(word, _)| *word);
            place.error(unknown("value", &value, words))
        }))
    }

    /// Takes a whole number, 1 or more; as a string too, because that is what `${VAR}` gives.
    pub(crate) fn count(&mut self, key: &str) -> Option<u32> {
        self.read(key, |node| {
            let count = match &node.value {
                Value::Number(number) => number.as_u64().and_then(|count| count.try_into().ok()),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            let count = count.filter(|count| *count > 0);
            count.ok_or_else(|| node.place.error("must be a whole number, 1 or more"))
        })
    }

    /// Takes `true` or `false`; as a string too, because that is what `${VAR}` gives.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        self.read(key, |node| match &node.value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            _ => Err(node.place.error("must be true or false")),
        })
    }

    /// Takes a duration: seconds as a number, or a text like "1500ms" or "2m".
    pub(crate) fn duration(&mut self, key: &str) -> Option<Duration> {
        self.read(key, |node| {
            let text = match &node.value {
                Value::Number(number) => number.to_string(),
                Value::String(text) => text.clone(),
                _ => return Err(node.place.error("must be a number of seconds or a string")),
            };
            parse_duration(&text).map_err(|error| node.place.error(error.to_string()))
        })
    }
}

pub(super) fn into_table(node: Node) -> Result<(Place, Vec<(String, Node)>), SettingsError> {
    match node.value {
        Value::Table(entries) => Ok((node.place, entries)),
        _ => {
            let found = node.type_name();
            Err(node.place.error(format!("must be a table, not {found}")))
        }
    }
}

pub(super) fn into_string(node: Node) -> Result<Located<String>, SettingsError> {
    match node.value {
        Value::String(text) if text.is_empty() => Err(node.place.error("must not be empty")),
        Value::String(value) => Ok(Located {
            value,
            place: node.place,
        }),
        _ => {
            let found = node.type_name();
            Err(node.place.error(format!("must be a string, not {found}")))
        }
    }
}

pub(super) fn into_strings(node: Node) -> Result<Located<Vec<String>>, SettingsError> {
    let wanted =
        "must be an array of strings, the program first: [\"python3\", \"-m\", \"legacy\"]";
    let items = match node.value {
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(node.place.error(wanted)),
    };
    let mut problems = Problems::default();
    let strings: Vec<String> = items
        .into_iter()
        .filter_map(|item| {
            problems.keep(match item.value {
                Value::String(text) => Ok(text),
                _ => Err(item.place.error("must be a string")),
            })
        })
        .collect();
    problems.or_else(|| Located {
        value: strings,
        place: node.place,
    })
}

#[cfg(test)]
mod tests {
    use std::{fmt::Debug, path::Path};

    use super::*;
    use crate::settings::toml;

    const KEYS: &[&str] = &["text", "flag", "time", "list", "tables"];

    fn section(text: &str) -> Section {
        let mut problems = Problems::default();
        let node = toml::parse(text, &Place::top(Path::new("s.toml")), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        Section::open(node.unwrap(), KEYS).unwrap()
    }

    /// The text of the problems that reading with `read` finds.
    fn problems<T: Debug>(text: &str, read: impl FnOnce(&mut Section) -> T) -> String {
        let mut section = section(text);
        let value = read(&mut section);
        section.finish(Some(value)).unwrap_err().to_string()
    }

    #[test]
    fn durations() {
        let cases = [
            ("30", 30_000),
            ("1.5", 1_500),
            ("0", 0),
            ("'1500ms'", 1_500),
            ("'2m'", 120_000),
            ("'30'", 30_000),
        ];
        for (text, millis) in cases {
            let mut section = section(&format!("time = {text}"));
            let duration = section.duration("time");
            assert_eq!(duration, Some(Duration::from_millis(millis)), "{text}");
            assert!(section.finish(duration).is_ok());
        }
        for bad in ["-1", "'soon'", "true", "'-1'", "1e300", "'inf'"] {
            let message = problems(&format!("time = {bad}"), |section| section.duration("time"));
            assert!(message.starts_with("s.toml:1: time: "), "{message}");
        }
    }

    #[test]
    fn flags_may_come_from_the_environment() {
        for (text, expected) in [("true", true), ("false", false), ("'true'", true)] {
            let flag = section(&format!("flag = {text}")).flag("flag");
            assert_eq!(flag, Some(expected));
        }
        let message = problems("flag = 1", |section| section.flag("flag"));
        assert_eq!(message, "s.toml:1: flag: must be true or false");
    }

    #[test]
    fn errors_about_types_name_both_types() {
        let text = |text: &str| problems(text, |section| section.string("text"));
        let list = |text: &str| problems(text, |section| section.read("list", into_strings));
        assert_eq!(
            text("text = 1"),
            "s.toml:1: text: must be a string, not a number"
        );
        assert_eq!(text("text = ''"), "s.toml:1: text: must not be empty");
        assert!(list("list = 'a'").contains("must be an array of strings"));
        assert!(list("list = []").contains("must be an array of strings"));
        assert_eq!(
            list("list = [\n'a',\n1,\n2]"),
            "s.toml:3: list[1]: must be a string\ns.toml:4: list[2]: must be a string"
        );
        assert_eq!(
            problems("tables = [1]", |section| section.tables("tables").len()),
            "s.toml:1: tables: must be a table, not an array"
        );
    }

    #[test]
    fn errors_about_keys_list_the_available_keys() {
        assert_eq!(
            problems("txt = 1", |_| ()),
            "s.toml:1: txt: unknown key; did you mean `text`? (available: `text`, `flag`, `time`, `list`, `tables`)"
        );
        let missing = |section: &mut Section| section.required("text");
        assert_eq!(problems("", missing), "s.toml: missing key `text`");
    }

    #[test]
    fn all_problems_of_a_table_are_found_and_a_misspelt_key_is_not_missing_too() {
        let message = problems("txt = 1\nflag = 2\ntime = 'soon'", |section| {
            (
                section.required("text"),
                section.flag("flag"),
                section.duration("time"),
            )
        });
        let keys: Vec<_> = message.lines().map(|line| &line[..13]).collect();
        assert_eq!(keys, ["s.toml:1: txt", "s.toml:2: fla", "s.toml:3: tim"]);
    }
}
