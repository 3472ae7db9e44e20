//! Durations in settings and attributes: plain seconds, or a number with a unit.

use std::{fmt, time::Duration};

/// An invalid duration, with the problem and the allowed forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError(String);

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DurationError {}

/// The longest duration that can be written: 100 years of 365 days, so that adding it to the present does not overflow.
pub const LONGEST_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads a duration: plain numbers are seconds, whole or with a fraction; others name their units.
///
/// # Errors
/// [`DurationError`] for an empty text, a negative number, an unknown unit, or more than [`LONGEST_DURATION`].
///
/// ```
/// use std::time::Duration;
/// use microagent_schema::parse_duration;
///
/// assert_eq!(parse_duration("30").unwrap(), Duration::from_secs(30));
/// assert_eq!(parse_duration("1.5").unwrap(), Duration::from_millis(1500));
/// assert_eq!(parse_duration("1500ms").unwrap(), Duration::from_millis(1500));
/// assert_eq!(parse_duration("2m 5s").unwrap(), Duration::from_secs(125));
/// assert!(parse_duration("-1").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let refused = |reason: &str| {
        DurationError(format!(
            "invalid duration {text:?}: {reason}; expected seconds (`30`, `1.5`) or a number with a unit (`1500ms`, `2m`)"
        ))
    };
    let duration = parse(text, refused)?;
    if duration > LONGEST_DURATION {
        Err(refused("it is longer than 100 years, 36500 days"))
    } else {
        Ok(duration)
    }
}

fn parse(text: &str, refused: impl Fn(&str) -> DurationError) -> Result<Duration, DurationError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(refused("it is empty"));
    }
    if trimmed.starts_with('-') {
        return Err(refused("it is negative"));
    }
    if trimmed.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = trimmed.parse().map_err(|_| refused("it is too long"))?;
        return Ok(Duration::from_secs(seconds));
    }
    if trimmed.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let seconds: f64 = trimmed.parse().map_err(|_| refused("it is not a number"))?;
        return Duration::try_from_secs_f64(seconds).map_err(|_| refused("it is too long"));
    }
    humantime::parse_duration(trimmed).map_err(|error| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_seconds() {
        for (text, millis) in [
            ("0", 0),
            ("7", 7000),
            (" 1.25 ", 1250),
            (".5", 500),
            ("2.", 2000),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn units_are_read() {
        for (text, seconds) in [
            ("2m", 120),
            ("1h", 3600),
            ("1h 30min", 5400),
            ("3 days", 259_200),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_text() {
        let too_long = "99999999999999999999";
        for text in [
            "", " ", "-1", "-5s", "nan", "inf", "1e3", ".", "1.2.3", "ten", "5 x", "+1", too_long,
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("invalid duration {text:?}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_longest_duration_can_be_added_to_now() {
        for text in ["3153600000", "3153600000.0", "36500 days"] {
            assert_eq!(parse_duration(text), Ok(LONGEST_DURATION), "{text}");
        }
        let two_to_the_63rd = "9223372036854775808";
        let longest = u64::MAX.to_string();
        for text in [
            "3153600001",
            "36501 days",
            "1000y",
            two_to_the_63rd,
            &longest,
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains("longer than 100 years"), "{error}");
        }
        assert!(parse_duration(&format!("{}.0", u64::MAX)).is_err());
    }
}
