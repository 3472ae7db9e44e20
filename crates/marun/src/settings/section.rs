//! One table of a settings file, read key by key: types are checked, unknown keys are refused.

use std::time::Duration;

use microagent_schema::parse_duration;

use super::node::{Node, Value};
use super::place::{Place, SettingsError};
use super::suggest::allowed;

/// A value that was read, and where it stands: later checks can still name the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// A table whose keys are taken out one by one.
pub(crate) struct Section {
    place: Place,
    entries: Vec<(String, Node)>,
}

impl Section {
    /// Opens a table that may hold only these keys.
    pub(crate) fn open(node: Node, keys: &[&str]) -> Result<Self, SettingsError> {
        let (place, entries) = into_table(node)?;
        for (key, node) in &entries {
            if !keys.contains(&key.as_str()) {
                let allowed = allowed(key, keys.iter().copied(), "no key is allowed here");
                return Err(node.place.error(format!("unknown key; {allowed}")));
            }
        }
        Ok(Self { place, entries })
    }

    /// Where the table stands.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The value of a key, whatever its type.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// The tables of a table: `[bus.main]`, `[bus.other]`.
    pub(crate) fn tables(&mut self, key: &str) -> Result<Vec<(String, Node)>, SettingsError> {
        match self.take(key) {
            Some(node) => into_table(node).map(|(_, entries)| entries),
            None => Ok(Vec::new()),
        }
    }

    /// A string that is not empty.
    pub(crate) fn string(&mut self, key: &str) -> Result<Option<Located<String>>, SettingsError> {
        self.take(key).map(into_string).transpose()
    }

    /// A string that must be there.
    pub(crate) fn required(&mut self, key: &str) -> Result<Located<String>, SettingsError> {
        self.string(key)?
            .ok_or_else(|| self.place.error(format!("the key `{key}` is missing")))
    }

    /// An array of at least one string.
    pub(crate) fn strings(
        &mut self,
        key: &str,
    ) -> Result<Option<Located<Vec<String>>>, SettingsError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let wanted =
            "must be an array of strings, the program first: [\"python3\", \"-m\", \"legacy\"]";
        let Value::Array(items) = node.value else {
            return Err(node.place.error(wanted));
        };
        if items.is_empty() {
            return Err(node.place.error(wanted));
        }
        let strings = items.into_iter().map(|item| match item.value {
            Value::String(text) => Ok(text),
            _ => Err(item.place.error("must be a string")),
        });
        Ok(Some(Located {
            value: strings.collect::<Result<_, _>>()?,
            place: node.place,
        }))
    }

    /// One of these words, which must be there.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<T, SettingsError> {
        let Located { value, place } = self.required(key)?;
        let known = words.iter().find(|(word, _)| *word == value);
        let known = known.map(|(_, meaning)| *meaning);
        known.ok_or_else(|| {
            let words = words.iter().map(|(word, _)| *word);
            let allowed = allowed(&value, words, "nothing is allowed here");
            place.error(format!("there is no `{value}`; {allowed}"))
        })
    }

    /// A whole number, 1 or more; as a string too, because that is what `${VAR}` gives.
    pub(crate) fn count(&mut self, key: &str) -> Result<Option<u32>, SettingsError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let count = match &node.value {
            Value::Number(number) => number.as_u64().and_then(|count| count.try_into().ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match count.filter(|count| *count > 0) {
            Some(count) => Ok(Some(count)),
            None => Err(node.place.error("must be a whole number, 1 or more")),
        }
    }

    /// `true` or `false`; as a string too, because that is what `${VAR}` gives.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, SettingsError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        match &node.value {
            Value::Bool(value) => Ok(Some(*value)),
            Value::String(text) if text == "true" => Ok(Some(true)),
            Value::String(text) if text == "false" => Ok(Some(false)),
            _ => Err(node.place.error("must be true or false")),
        }
    }

    /// A duration: seconds as a number, or a text like "1500ms" or "2m".
    pub(crate) fn duration(&mut self, key: &str) -> Result<Option<Duration>, SettingsError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let text = match &node.value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err(node.place.error("must be a number of seconds or a string")),
        };
        let duration = parse_duration(&text);
        let duration = duration.map_err(|error| node.place.error(error.to_string()))?;
        Ok(Some(duration))
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

fn into_string(node: Node) -> Result<Located<String>, SettingsError> {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::toml;

    const KEYS: &[&str] = &["text", "flag", "time", "list", "tables"];

    fn section(text: &str) -> Result<Section, SettingsError> {
        Section::open(toml::parse(text, &Place::top(Path::new("s.toml")))?, KEYS)
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
            let duration = section(&format!("time = {text}")).unwrap().duration("time");
            assert_eq!(duration, Ok(Some(Duration::from_millis(millis))), "{text}");
        }
        for bad in ["-1", "'soon'", "true", "'-1'", "1e300", "'inf'"] {
            let error = section(&format!("time = {bad}")).unwrap().duration("time");
            let message = error.unwrap_err().to_string();
            assert!(message.starts_with("s.toml:1: time: "), "{message}");
        }
    }

    #[test]
    fn flags_may_come_from_the_environment() {
        for (text, expected) in [("true", true), ("false", false), ("'true'", true)] {
            let flag = section(&format!("flag = {text}")).unwrap().flag("flag");
            assert_eq!(flag, Ok(Some(expected)));
        }
        assert!(section("flag = 1").unwrap().flag("flag").is_err());
    }

    #[test]
    fn wrong_types_say_what_was_found() {
        let message = |text: &str, key: &str| {
            let mut section = section(text).unwrap();
            let error = match key {
                "text" => section.string(key).unwrap_err(),
                "list" => section.strings(key).unwrap_err(),
                _ => section.tables(key).unwrap_err(),
            };
            error.to_string()
        };
        assert_eq!(
            message("text = 1", "text"),
            "s.toml:1: text: must be a string, not a number"
        );
        assert_eq!(
            message("text = ''", "text"),
            "s.toml:1: text: must not be empty"
        );
        assert!(message("list = 'a'", "list").contains("must be an array of strings"));
        assert!(message("list = []", "list").contains("must be an array of strings"));
        assert_eq!(
            message("list = ['a', 1]", "list"),
            "s.toml:1: list[1]: must be a string"
        );
        assert_eq!(
            message("tables = [1]", "tables"),
            "s.toml:1: tables: must be a table, not an array"
        );
    }

    #[test]
    fn unknown_and_missing_keys_name_what_is_allowed() {
        let error = section("txt = 1").err().unwrap().to_string();
        assert_eq!(
            error,
            "s.toml:1: txt: unknown key; did you mean `text`? allowed: text, flag, time, list, tables"
        );
        let error = section("").unwrap().required("text").unwrap_err();
        assert_eq!(error.to_string(), "s.toml: the key `text` is missing");
    }
}
