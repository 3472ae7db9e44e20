//! Serialization of option values with serde.
//!
//! Times are written as seconds. Text is read wherever a number is expected, because a value that
//! comes from an environment variable is a text.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Number, Value};

use super::Form;
use crate::parse_duration;

/// Reads a duration from a number or a text.
pub(super) fn duration(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Number(seconds) => from_number(seconds),
        Value::String(text) => parse_duration(text).map_err(|error| error.to_string()),
        other => Err(format!(
            "invalid duration {other}: {}",
            Form::Time.expected()
        )),
    }
}

/// Reads what a builder wrote, too, which can be longer than settings may write it.
fn from_number(number: &Number) -> Result<Duration, String> {
    let longest = Duration::MAX.as_secs_f64();
    let read = number.as_f64().and_then(|seconds| match seconds {
        // The longest duration is written as a number that is a bit longer than itself.
        seconds if seconds == longest => Some(Duration::MAX),
        seconds => Duration::try_from_secs_f64(seconds).ok(),
    });
    match read {
        Some(duration) => Ok(duration),
        None => parse_duration(&number.to_string()).map_err(|error| error.to_string()),
    }
}

/// A duration as seconds.
pub(super) mod seconds {
    use serde::Serializer;

    use super::{Deserialize, Deserializer, Duration, Error, Value, duration};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_f64(time.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        duration(&Value::deserialize(input)?).map_err(D::Error::custom)
    }
}

fn count_of(value: &Value) -> Result<usize, String> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.parse()
        .map_err(|_| format!("this is {value}; {}", Form::Count.expected()))
}

/// Reads a count from a number or a text.
pub(super) fn count<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    count_of(&Value::deserialize(input)?).map_err(D::Error::custom)
}

/// Reads a count that may be absent.
pub(super) fn optional_count<'de, D>(input: D) -> Result<Option<usize>, D::Error>
where
    D: Deserializer<'de>,
{
    let value = Option::<Value>::deserialize(input)?;
    let count = value.as_ref().map(count_of).transpose();
    count.map_err(D::Error::custom)
}

/// Reads a count with an upper limit that is never reached.
pub(super) fn small_count<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    Ok(u32::try_from(count(input)?).unwrap_or(u32::MAX))
}

/// Texts by their names; numbers and truth values become texts.
pub(super) fn texts<'de, D>(input: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let values = BTreeMap::<String, Value>::deserialize(input)?.into_iter();
    let texts = values.map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        other => Err(D::Error::custom(format!(
            "`{name}` is {other}; a text, a number, `true` or `false` is allowed"
        ))),
    });
    texts.collect()
}

/// `true`, `false`, or the fields of the value.
pub(super) fn switch<'de, D, T>(input: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = Value::deserialize(input)?;
    match &value {
        Value::Null | Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(T::default())),
        Value::String(text) if text == "true" => Ok(Some(T::default())),
        Value::String(text) if text == "false" => Ok(None),
        Value::Object(_) => serde_json::from_value(value)
            .map(Some)
            .map_err(D::Error::custom),
        other => Err(D::Error::custom(format!(
            "this is {other}; `true`, `false` and a table are allowed"
        ))),
    }
}
