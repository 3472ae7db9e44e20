//! The value of a number, to compare numbers that are written in different ways.

use std::cmp::Ordering;

/// The value of a finite number: plus or minus `0.DIGITS` times ten to the power.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    negative: bool,
    /// The lowest one for zero.
    power: i128,
    /// Without zeros at the start and the end; none for zero.
    digits: Vec<u8>,
}

impl Decimal {
    /// Reads the text of a number; `None` for NaN and the infinities.
    pub(super) fn of(number: &str) -> Option<Self> {
        let (negative, text) = match number.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, number),
        };
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<_> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        if zeros == digits.len() {
            return Some(Self {
                negative: false,
                power: i128::MIN,
                digits: Vec::new(),
            });
        }
        digits.drain(..zeros);
        let end = digits.iter().rposition(|digit| *digit != b'0');
        digits.truncate(end.map_or(0, |last| last + 1));
        let lengths = whole.len() as i128 - zeros as i128;
        Some(Self {
            negative,
            power: i128::from(exponent_of(exponent)) + lengths,
            digits,
        })
    }
}

/// Beyond 64 bits all exponents count as one.
fn exponent_of(text: &str) -> i64 {
    let limit = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    text.parse().unwrap_or(limit)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sizes = || (self.power, &self.digits).cmp(&(other.power, &other.digits));
        match (self.negative, other.negative) {
            (false, false) => sizes(),
            (true, true) => sizes().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
