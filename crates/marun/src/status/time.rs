//! The forms of times and durations in JSON, as in the status of an agent: RFC 3339 in UTC with
//! milliseconds, and seconds.

pub(crate) mod moment {
    use std::time::SystemTime;

    use humantime::{format_rfc3339_millis, parse_rfc3339};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_rfc3339_millis(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        parse_rfc3339(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

pub(crate) mod seconds_option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        duration
            .map(|duration| duration.as_secs_f64())
            .serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        let duration = seconds.map(Duration::try_from_secs_f64);
        duration.transpose().map_err(D::Error::custom)
    }
}
