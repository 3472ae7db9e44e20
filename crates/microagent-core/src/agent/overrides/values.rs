//! The values of options as settings write them. What comes out of an environment variable is text, so text is read
//! wherever a number or a truth value is.

use std::{fmt::Display, time::Duration};

use microagent_schema::{CronSpec, parse_duration};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::{DeadLetter, OnFailure, Once, RetryPolicy};

/// A duration.
#[derive(Debug)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(input)? {
            Value::Number(seconds) => seconds.to_string(),
            Value::String(text) => text,
            other => {
                return Err(D::Error::custom(format!(
                    "{other} is no duration; seconds (`30`, `0.5`) or text with a unit (\"1500ms\", \"2m\") are allowed"
                )));
            }
        };
        parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A duration that is longer than nothing.
#[derive(Debug)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Span::deserialize(input)?.0 {
            Duration::ZERO => Err(D::Error::custom("it must be longer than 0")),
            time => Ok(Self(time)),
        }
    }
}

/// What may follow the failure of what is no message.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnRun {
    Retry,
    Drop,
}

impl From<OnRun> for OnFailure {
    fn from(follows: OnRun) -> Self {
        match follows {
            OnRun::Retry => Self::Retry,
            OnRun::Drop => Self::Drop,
        }
    }
}

/// A count from 0 on.
#[derive(Debug)]
pub(super) struct Count(pub(super) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(input)?;
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        text.parse()
            .map(Self)
            .map_err(|_| refused(&value, "a whole number is allowed"))
    }
}

/// A count from 1 on.
#[derive(Debug)]
pub(super) struct Positive(pub(super) usize);

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Count::deserialize(input)?.0 {
            0 => Err(D::Error::custom("a whole number of at least 1 is allowed")),
            count => Ok(Self(count)),
        }
    }
}

/// The delays of retries.
#[derive(Debug, Deserialize)]
pub(super) struct Delays(Vec<Span>);

impl From<Delays> for RetryPolicy {
    fn from(delays: Delays) -> Self {
        Self::after(
            delays
                .0
                .into_iter()
                .map(|delay| delay.0)
                .collect::<Vec<_>>(),
        )
    }
}

/// The queue for dead letters, or `none`.
#[derive(Debug)]
pub(super) struct Undertaker(pub(super) DeadLetter);

impl<'de> Deserialize<'de> for Undertaker {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = String::deserialize(input)?;
        if name == "none" {
            return Ok(Self(DeadLetter::None));
        }
        let declared = name
            .strip_suffix(crate::DEAD_LETTER_SUFFIX)
            .unwrap_or(&name);
        microagent_schema::names::check_queue(declared).map_err(D::Error::custom)?;
        Ok(Self(DeadLetter::Queue(name.into())))
    }
}

/// A schedule.
#[derive(Debug)]
pub(super) struct Spec(pub(super) String);

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        CronSpec::parse(&text).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

/// The name of a time zone.
#[derive(Debug)]
pub(super) struct Zone(pub(super) String);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = String::deserialize(input)?;
        crate::timer::check_zone(&name).map_err(D::Error::custom)?;
        Ok(Self(name))
    }
}

/// `true`, `false`, or the choices of [`Once`].
#[derive(Debug)]
pub(super) struct OnceOrNot(pub(super) Option<Once>);

impl<'de> Deserialize<'de> for OnceOrNot {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(input)?;
        match &value {
            Value::Bool(once) => Ok(Self(once.then(Once::default))),
            Value::String(text) if text == "true" => Ok(Self(Some(Once::default()))),
            Value::String(text) if text == "false" => Ok(Self(None)),
            Value::Object(_) => match serde_json::from_value(value) {
                Ok(once) => Ok(Self(Some(once))),
                Err(error) => Err(D::Error::custom(error)),
            },
            other => Err(refused(
                other,
                "`true`, `false` and a table of `crashed` and `unavailable` are allowed",
            )),
        }
    }
}

fn refused<E: Error>(value: &Value, allowed: impl Display) -> E {
    E::custom(format!("this is {value}; {allowed}"))
}
