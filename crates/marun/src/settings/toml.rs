//! Parses TOML into the tree of values, with the line of each.

use std::collections::BTreeSet;

use serde_json::Number;
use toml::{Spanned, de::DeTable, de::DeValue};

use super::node::{Node, Value};
use super::place::Place;
use super::problems::{Problems, SettingsError};

/// Parses the text of a TOML file. A value that does not fit is a problem, and `null` in the tree.
pub(crate) fn parse(text: &str, top: &Place, problems: &mut Problems) -> Option<Node> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    // One mistake may break the grammar several times; the first one in a line says what is wrong.
    let mut known = BTreeSet::new();
    for error in errors {
        let line = error.span().map(|span| lines.at(span.start));
        if known.insert(line) {
            let reason = error.message().trim_end();
            let key = error.span().and_then(|span| text.get(span));
            let message = match key.filter(|_| reason == "duplicate key") {
                Some(key) => format!("not valid TOML: duplicate key `{key}`"),
                None => format!("not valid TOML: {reason}"),
            };
            problems.keep::<()>(Err(top.clone().at_line(line).error(message)));
        }
    }
    if !problems.is_empty() {
        return None;
    }
    let place = top.clone();
    let value = convert_table(table.get_ref(), top, &lines, problems);
    Some(Node { place, value })
}

/// The offsets at which lines begin, to convert byte offsets into line numbers.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// Returns the line of this byte, counted from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|&begin| begin <= offset) + 1
    }
}

fn convert_table(
    table: &DeTable<'_>,
    place: &Place,
    lines: &Lines,
    problems: &mut Problems,
) -> Value {
    // The map is sorted by key; what an agent reads as its settings keeps the order of the file.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, value)| {
        let line = lines.at(key.span().start);
        let name: &str = key.get_ref();
        let node = convert(value, place.child(name, Some(line)), lines, problems);
        (name.to_owned(), node)
    });
    Value::Table(entries.collect())
}

fn convert(
    value: &Spanned<DeValue<'_>>,
    place: Place,
    lines: &Lines,
    problems: &mut Problems,
) -> Node {
    let value = match value.get_ref() {
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                let line = lines.at(item.span().start);
                convert(item, place.element(index, Some(line)), lines, problems)
            });
            Value::Array(items.collect())
        }
        DeValue::Table(table) => convert_table(table, &place, lines, problems),
        scalar => problems
            .keep(convert_scalar(scalar, &place))
            .unwrap_or(Value::Null),
    };
    Node { place, value }
}

fn convert_scalar(value: &DeValue<'_>, place: &Place) -> Result<Value, SettingsError> {
    match value {
        DeValue::String(text) => Ok(Value::String(text.clone().into_owned())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(value) => {
            let number = i64::from_str_radix(value.as_str(), value.radix());
            let number = number.map_err(|_| place.error("the integer does not fit in 64 bits"))?;
            Ok(Value::Number(number.into()))
        }
        DeValue::Float(value) => {
            let number = value.as_str().parse().ok().and_then(Number::from_f64);
            let number = number.ok_or_else(|| place.error("must be a finite number"))?;
            Ok(Value::Number(number))
        }
        // Agents read JSON, which has no dates, so they get the text.
        DeValue::Datetime(value) => Ok(Value::String(value.to_string())),
        DeValue::Array(_) | DeValue::Table(_) => Err(place.error("must be a single value")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse_text(text: &str) -> Result<Node, SettingsError> {
        let mut problems = Problems::default();
        let node = parse(text, &Place::top(Path::new("s.toml")), &mut problems);
        problems.or_else(|| node.unwrap())
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
            (
                "a = 1\na = 2\n",
                "s.toml:2: not valid TOML: duplicate key `a`",
            ),
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

    #[test]
    fn all_errors_are_found_one_per_line() {
        let text = "a = \nb = 1\nb = 2\nd = 1 2 3\n[c\n";
        let message = parse_text(text).unwrap_err().to_string();
        let lines: Vec<_> = message.lines().map(|line| &line[..9]).collect();
        assert_eq!(lines, ["s.toml:1:", "s.toml:3:", "s.toml:4:", "s.toml:5:"]);
        let message = parse_text("a = nan\nb = inf").unwrap_err().to_string();
        assert_eq!(message.lines().count(), 2, "{message}");
    }
}
