//! Rates such as `20/s`.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

/// A number of messages per second, minute or hour: `20/s`, `5/m` or `1/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    count: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// Returns the time from one message to the next.
    pub(super) fn interval(self) -> Duration {
        self.per / self.count.get()
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = text.split_once('/').and_then(|(count, unit)| {
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            Some(Self {
                count: count.parse().ok()?,
                per: Duration::from_secs(seconds),
            })
        });
        rate.ok_or_else(|| {
            "expected a number from 1, then `/s`, `/m` or `/h`, such as `20/s`".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_per_unit() {
        let interval = |text: &str| text.parse::<Rate>().map(Rate::interval);
        assert_eq!(interval("20/s"), Ok(Duration::from_millis(50)));
        assert_eq!(interval("5/m"), Ok(Duration::from_secs(12)));
        assert_eq!(interval("1/h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "20", "0/s", "-1/s", "20/d", "/s", "1.5/s"] {
            assert!(
                wrong.parse::<Rate>().unwrap_err().contains("20/s"),
                "{wrong}"
            );
        }
    }
}
