//! Parses JSON into the tree of values. The lines of values are unknown; only errors have lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::node::{Node, Value};
use super::{place::Place, problems::SettingsError};

/// Parses the text of a JSON file.
pub(crate) fn parse(text: &str, top: &Place) -> Result<Node, SettingsError> {
    let raw: Raw = serde_json::from_str(text).map_err(|error| {
        top.clone()
            .at_line(Some(error.line()))
            .error(format!("not valid JSON: {error}"))
    })?;
    Ok(place(raw, top.clone()))
}

/// A JSON value. Duplicate keys are errors, because the first value would be lost silently.
enum Raw {
    Scalar(Value),
    Array(Vec<Self>),
    Table(Vec<(String, Self)>),
}

fn place(raw: Raw, place_: Place) -> Node {
    let value = match raw {
        Raw::Scalar(value) => value,
        Raw::Array(items) => {
            let items = items.into_iter().enumerate();
            Value::Array(
                items
                    .map(|(index, item)| place(item, place_.element(index, None)))
                    .collect(),
            )
        }
        Raw::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, item)| {
                    let node = place(item, place_.child(&key, None));
                    (key, node)
                })
                .collect(),
        ),
    };
    Node {
        place: place_,
        value,
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Number(value.into())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Raw, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Raw::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries: Vec<(String, Raw)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Raw::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse_text(text: &str) -> Result<Node, SettingsError> {
        parse(text, &Place::top(Path::new("s.json")))
    }

    #[test]
    fn values_come_through_unchanged() {
        let text = r#"{"b":[1,-2,1.5,null,true],"a":{"x":"y"}}"#;
        assert_eq!(parse_text(text).unwrap().into_json().to_string(), text);
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("{\n\"a\": }", "s.json:2: not valid JSON: "),
            (
                "{\"a\": 1,\n\"a\": 2}",
                "s.json:2: not valid JSON: duplicate key `a`",
            ),
        ];
        for (text, expected) in cases {
            let message = parse_text(text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
