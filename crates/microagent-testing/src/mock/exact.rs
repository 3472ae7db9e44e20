//! Payloads as values that a test compares. `serde_json` rounds numbers beyond 64 bits, so that two different numbers would be
//! equal; here they stay different.

use microagent_core::Fields;
use serde::Deserialize;
use serde_json::{Number, Value, value::RawValue};

/// The depth from which arrays and objects stay text.
const DEPTH: usize = 128;

/// Returns the value of a JSON text. Parts that a [`Value`] cannot hold are strings with their JSON text: numbers beyond 64 bits,
/// numbers such as `1e400`, strings with half a character such as `"\ud800"`, and values that are nested too deep.
pub(super) fn value_of(json: &RawValue) -> Value {
    at_depth(json, DEPTH)
}

fn at_depth(json: &RawValue, depth: usize) -> Value {
    let text = json.get();
    let exact = match text.as_bytes().first() {
        Some(b'[' | b'{') if depth == 0 => None,
        Some(b'[') => parsed::<Vec<&RawValue>>(text).map(|items| {
            items
                .into_iter()
                .map(|item| at_depth(item, depth - 1))
                .collect()
        }),
        Some(b'{') => object(text, depth),
        Some(b'-' | b'0'..=b'9') => number(text).map(Value::Number),
        _ => parsed(text),
    };
    exact.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn object(text: &str, depth: usize) -> Option<Value> {
    let fields = Fields::of(text.as_bytes()).ok()?;
    let values = fields
        .iter()
        .map(|(name, raw)| (name.to_owned(), at_depth(raw, depth - 1)));
    Some(Value::Object(values.collect()))
}

/// A fraction may be rounded, as every reader of JSON rounds it; an integer may not.
fn number(text: &str) -> Option<Number> {
    let number: Number = parsed(text)?;
    let is_integer = !text.contains(['.', 'e', 'E']);
    (!is_integer || !number.is_f64()).then_some(number)
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        value_of(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_json_text_that_a_value_can_hold_becomes_that_value() {
        let json =
            r#"{"a":[1,-2,1.5,1e3,null,true,"x\ny",18446744073709551615],"b":{"a":{}},"b2":[]}"#;
        assert_eq!(value(json), serde_json::from_str::<Value>(json).unwrap());
        assert_eq!(value(r#"{"a":1,"a":2}"#), serde_json::json!({"a": 2}));
    }

    #[test]
    fn values_that_json_values_cannot_hold_stay_different() {
        let texts = [
            "18446744073709551616",
            "18446744073709551617",
            "-9223372036854775809",
            "1e400",
            "1e401",
            r#""\ud800""#,
        ];
        for text in texts {
            assert_eq!(value(&format!("[[{text}]]")), serde_json::json!([[text]]));
        }
    }

    #[test]
    fn arrays_that_are_nested_too_deep_stay_text() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut found = &value(&deep);
        for _ in 0..DEPTH {
            found = &found[0];
        }
        assert!(
            found
                .as_str()
                .is_some_and(|text| text.len() == 2 * (100_000 - DEPTH))
        );
    }
}
