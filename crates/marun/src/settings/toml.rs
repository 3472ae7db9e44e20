//! TOML text → the tree of values, with the line of each.

use serde_json::Number;
use toml::{Spanned, de::DeTable, de::DeValue};

use super::node::{Node, Value};
use super::place::{Place, SettingsError};

/// Parses the text of a TOML file.
pub(crate) fn parse(text: &str, top: &Place) -> Result<Node, SettingsError> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| lines.at(span.start));
        top.clone()
            .at_line(line)
            .error(format!("not valid TOML: {}", error.message().trim_end()))
    })?;
    Ok(Node {
        place: top.clone(),
        value: convert_table(table.get_ref(), top, &lines)?,
    })
}

/// Where each line begins, to turn a byte offset into a line number.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of this byte, counted from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|&begin| begin <= offset) + 1
    }
}

fn convert_table(
    table: &DeTable<'_>,
    place: &Place,
    lines: &Lines,
) -> Result<Value, SettingsError> {
    // The map is sorted by key; what an agent reads as its settings keeps the order of the file.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| {
            let line = lines.at(key.span().start);
            let name: &str = key.get_ref();
            let node = convert(value, place.child(name, Some(line)), lines)?;
            Ok((name.to_owned(), node))
        })
        .collect::<Result<_, _>>()
        .map(Value::Table)
}

fn convert(
    value: &Spanned<DeValue<'_>>,
    place: Place,
    lines: &Lines,
) -> Result<Node, SettingsError> {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(value) => Value::Bool(*value),
        // JSON, which agents read, has no dates: they arrive as their text.
        DeValue::Datetime(value) => Value::String(value.to_string()),
        DeValue::Integer(value) => {
            let number = i64::from_str_radix(value.as_str(), value.radix());
            let number = number.map_err(|_| place.error("the integer does not fit in 64 bits"))?;
            Value::Number(number.into())
        }
        DeValue::Float(value) => {
            let number = value.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| place.error("must be a finite number"))?)
        }
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                let line = lines.at(item.span().start);
                convert(item, place.element(index, Some(line)), lines)
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => convert_table(table, &place, lines)?,
    };
    Ok(Node {
        place,
        value: converted,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse_text(text: &str) -> Result<Node, SettingsError> {
        parse(text, &Place::top(Path::new("s.toml")))
    }

    #[test]
    fn values_keep_their_order_and_types() {
        let text = "b = 1\na = [1.5, true, 0x10, 1979-05-27]\n[z]\nx = 'y'\n";
        let json = parse_text(text).unwrap().into_json();
        assert_eq!(
            json.to_string(),
            r#"{"b":1,"a":[1.5,true,16,"1979-05-27"],"z":{"x":"y"}}"#
        );
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("a = 1\nb = \n", "s.toml:2: not valid TOML: "),
            ("a = 1\na = 2\n", "s.toml:2: not valid TOML: duplicate key"),
            (
                "\n\na = 99999999999999999999",
                "s.toml:3: a: the integer does not fit",
            ),
            ("[x]\na = [1,\n nan]", "s.toml:3: x.a[1]: must be a finite"),
        ];
        for (text, expected) in cases {
            let message = parse_text(text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
