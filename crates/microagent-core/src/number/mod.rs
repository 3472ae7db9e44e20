//! A JSON number as a field of a signal: it converts from any Rust number, and is kept exactly as
//! it was received.
//!
//! It supports comparison but not arithmetic.

mod decimal;

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Unexpected},
    ser::Error as _,
};
use serde_json::value::RawValue;

use self::decimal::Decimal;

/// A JSON number, the type that `declare!` generates for an argument that is declared as `number`.
///
/// Any Rust integer or float converts into it. It keeps a received number digit by digit, including
/// integers beyond 64 bits. NaN and the infinities are not JSON numbers: sending a signal that
/// contains one fails with [`ErrorKind::InvalidPayload`](crate::ErrorKind::InvalidPayload).
///
/// Numbers with the same value are equal, however they are written: `7`, `7.0` and `70e-1` are
/// equal.
///
/// Only `serde_json` can decode it, from JSON text, and not inside `#[serde(flatten)]` or an
/// untagged enum.
///
/// ```
/// use microagent_core::Number;
///
/// let (count, total): (Number, Number) = (7.into(), 9.99.into());
/// assert_eq!((count.as_u64(), total.as_f64()), (Some(7), Some(9.99)));
/// assert_eq!(serde_json::to_string(&[count, total])?, "[7,9.99]");
///
/// let received: Number = serde_json::from_str("123456789012345678901234567890")?;
/// assert_eq!(received.to_string(), "123456789012345678901234567890");
///
/// assert!(serde_json::to_string(&Number::from(f64::NAN)).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Number(Box<str>);

impl Number {
    /// Returns the number as an `i64`, if it is an integer in its range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// Returns the number as a `u64`, if it is an integer in its range.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// Returns the number as an `i128`, if it is an integer in its range.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        self.0.parse().ok()
    }

    /// Returns the nearest `f64`, if the number is within its range.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|float: &f64| float.is_finite())
    }

    /// Returns whether this is a JSON number: not NaN and not infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.0.ends_with(|last: char| last.is_ascii_digit())
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            fn from(integer: $integer) -> Self {
                Self(integer.to_string().into())
            }
        }

        impl PartialEq<$integer> for Number {
            fn eq(&self, integer: &$integer) -> bool {
                let number = Self::from(*integer);
                *self == number
            }
        }
    )*};
}

from_integers!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
);

macro_rules! from_floats {
    ($($float:ty),*) => {$(
        impl From<$float> for Number {
            /// Converts to the shortest text that parses to the same float, as Python does.
            fn from(float: $float) -> Self {
                match serde_json::to_string(&float) {
                    Ok(text) if float.is_finite() => Self(text.into()),
                    _ => Self(float.to_string().into()),
                }
            }
        }

        impl PartialEq<$float> for Number {
            fn eq(&self, float: &$float) -> bool {
                self.is_finite() && self.0.parse() == Ok(*float)
            }
        }
    )*};
}

from_floats!(f32, f64);

impl From<serde_json::Number> for Number {
    fn from(number: serde_json::Number) -> Self {
        Self(number.to_string().into())
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || Decimal::of(&self.0).is_some_and(|value| Some(value) == Decimal::of(&other.0))
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match Decimal::of(&self.0) {
            Some(value) => value.hash(state),
            None => self.0.hash(state),
        }
    }
}

impl PartialOrd for Number {
    /// Compares the values exactly. NaN and the infinities are not ordered.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.0 == other.0 {
            return Some(Ordering::Equal);
        }
        Some(Decimal::of(&self.0)?.cmp(&Decimal::of(&other.0)?))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(integer) = self.as_u64() {
            return serializer.serialize_u64(integer);
        }
        if let Some(integer) = self.as_i64().filter(|_| *self.0 != *"-0") {
            return serializer.serialize_i64(integer);
        }
        if !self.is_finite() {
            let text = format!("invalid number `{self}`: expected a finite number");
            return Err(S::Error::custom(text));
        }
        match self.as_f64() {
            Some(float) if *Self::from(float).0 == *self.0 => serializer.serialize_f64(float),
            // The number is written as it was received, because no Rust type has the same digits.
            _ => RawValue::from_string(String::from(&*self.0))
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Ok(Self(raw.into())),
            _ => Err(D::Error::invalid_type(unexpected(text), &"a number")),
        }
    }
}

/// Returns the JSON type that was found in place of a number, for the error.
fn unexpected(json: &str) -> Unexpected<'_> {
    match json.as_bytes().first() {
        Some(b'"') => Unexpected::Other("string"),
        Some(b'[') => Unexpected::Seq,
        Some(b'{') => Unexpected::Map,
        Some(b'n') => Unexpected::Unit,
        Some(b't') => Unexpected::Bool(true),
        _ => Unexpected::Bool(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(json: &str) -> String {
        let number: Number = serde_json::from_str(json).unwrap();
        serde_json::to_string(&number).unwrap()
    }

    #[test]
    fn a_received_number_is_sent_unchanged() {
        for json in [
            "0",
            "-0",
            "7",
            "-7",
            "18446744073709551615",
            "-9223372036854775808",
            "18446744073709551616",
            "1180591620717411303424",
            "-1180591620717411303425",
            "0.1",
            "-0.0",
            "1.50",
            "1e400",
            "1E5",
            "1.0",
            "3.141592653589793238462643383279",
        ] {
            assert_eq!(round_trip(json), json);
        }
    }

    #[test]
    fn numbers_of_rust_are_written_as_python_writes_them() {
        for (number, json) in [
            (Number::from(7_u8), "7"),
            (Number::from(i64::MIN), "-9223372036854775808"),
            (
                Number::from(u128::MAX),
                "340282366920938463463374607431768211455",
            ),
            (Number::from(9.99), "9.99"),
            (Number::from(0.1_f32), "0.1"),
            (Number::from(1.0), "1.0"),
            (Number::from(1e300), "1e300"),
        ] {
            let written = serde_json::to_string(&number).unwrap();
            assert_eq!(written.replace("e+", "e"), json);
        }
    }

    #[test]
    fn infinite_numbers_and_nan_are_refused() {
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let number = Number::from(float);
            assert_eq!((number.is_finite(), number.as_f64()), (false, None));
            let error = serde_json::to_string(&number).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("invalid number `{float}`: expected a finite number")
            );
        }
        assert!(serde_json::to_value(Number::from(f32::NAN)).is_err());
    }

    #[test]
    fn values_that_are_not_numbers_are_refused() {
        for (json, found) in [
            ("\"7\"", "string"),
            ("null", "null"),
            ("true", "boolean `true`"),
            ("[1]", "sequence"),
            ("{}", "map"),
        ] {
            let error = serde_json::from_str::<Number>(json)
                .unwrap_err()
                .to_string();
            let expected = format!("invalid type: {found}, expected a number");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn it_compares_with_numbers_of_rust() {
        let (seven, half, nan) = (Number::from(7), Number::from(0.5), Number::from(f64::NAN));
        assert!(seven == 7_u64 && seven != 8 && half == 0.5 && half != 0.25);
        assert!(!nan.is_finite() && nan != half);
        assert!(half < seven && nan.partial_cmp(&seven).is_none());
        let largest = [u64::MAX - 1, u64::MAX].map(Number::from);
        assert!(largest[0] < largest[1]);
    }

    #[test]
    fn numbers_of_the_same_value_are_equal_in_every_way() {
        let hash = |number: &Number| {
            let mut state = std::hash::DefaultHasher::new();
            number.hash(&mut state);
            state.finish()
        };
        // The rows are in ascending order; the numbers in one row are equal.
        let rows: [&[&str]; 12] = [
            &["-1e400"],
            &["-10", "-1e1", "-10.00"],
            &["-1.5"],
            &["-0.2", "-2E-1"],
            &["0", "-0", "0.0", "0e7"],
            &["1e-99999999999999999999"],
            &["0.02", "2e-2", "0.2e-1"],
            &["7", "7.0", "70e-1", "0.7e+1"],
            &["9007199254740992", "9007199254740992.0"],
            &["9007199254740993", "9007199254740993.0"],
            &["1e400", "10e399"],
            &["1e99999999999999999999"],
        ];
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        let numbers: Vec<_> = (0..)
            .zip(rows)
            .flat_map(|(place, row)| row.iter().map(move |text| (place, number(text))))
            .collect();
        for (place, one) in &numbers {
            for (other_place, other) in &numbers {
                let expected: Ordering = i32::cmp(place, other_place);
                assert_eq!(one.partial_cmp(other), Some(expected), "{one} {other}");
                assert_eq!(one == other, expected.is_eq(), "{one} {other}");
                if one == other {
                    assert_eq!(hash(one), hash(other), "{one} {other}");
                }
            }
        }
        assert!(number("7.0") == 7_u8 && number("7.5") != 7_u8 && number("-7") != 7_u8);
    }
}
