//! The forms of times and durations in JSON: RFC 3339 in UTC with milliseconds, and seconds.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de, ser};

/// A time as text.
fn text_of<E: ser::Error>(time: SystemTime) -> Result<String, E> {
    let timestamp = Timestamp::try_from(time).map_err(E::custom)?;
    Ok(format!("{timestamp:.3}"))
}

fn time_of<E: de::Error>(text: &str) -> Result<SystemTime, E> {
    let timestamp: Timestamp = text.parse().map_err(E::custom)?;
    Ok(timestamp.into())
}

fn duration_of<E: de::Error>(seconds: f64) -> Result<Duration, E> {
    Duration::try_from_secs_f64(seconds).map_err(E::custom)
}

pub mod time {
    use super::{Deserialize, Deserializer, Serializer, SystemTime, text_of, time_of};

    pub fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text_of(*time)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        time_of(&String::deserialize(from)?)
    }
}

pub mod time_option {
    use super::{Deserialize, Deserializer, Serializer, SystemTime, text_of, time_of};

    pub fn serialize<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.serialize_some(&text_of(*time)?),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.as_deref().map(time_of).transpose()
    }
}

pub mod time_list {
    use super::{Deserialize, Deserializer, Serializer, SystemTime, text_of, time_of};

    pub fn serialize<S: Serializer>(times: &[SystemTime], to: S) -> Result<S::Ok, S::Error> {
        let texts = times.iter().map(|time| text_of(*time));
        to.collect_seq(texts.collect::<Result<Vec<_>, _>>()?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SystemTime>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| time_of(text)).collect()
    }
}

pub mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer, duration_of};

    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        duration_of(f64::deserialize(from)?)
    }
}

pub mod seconds_option {
    use super::{Deserialize, Deserializer, Duration, Serializer, duration_of};

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => to.serialize_some(&duration.as_secs_f64()),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(from)?
            .map(duration_of)
            .transpose()
    }
}
