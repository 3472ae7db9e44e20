//! Variable-length numbers: seven bits a byte, the lowest first; the highest bit says that more follow.

pub(super) fn write_number(body: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        body.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    body.push(number as u8);
}

pub(super) fn size_of_number(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// Returns the difference of two times as a number that is small if the difference is, in either direction: a clock may be set back.
pub(super) fn zigzag(difference: u64) -> u64 {
    let sign = 0_u64.wrapping_sub(difference >> 63);
    difference << 1 ^ sign
}

pub(super) fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ 0_u64.wrapping_sub(number & 1)
}

pub(super) fn distance(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or_default()
}

/// The rest of the bytes of a text.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * place);
            if shifted >> (7 * place) != bits {
                return None;
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a number that is at least 1.
    pub(super) fn count(&mut self) -> Option<u32> {
        u32::try_from(self.number()?)
            .ok()
            .filter(|count| *count > 0)
    }

    /// Reads a distance and returns the offset that lies so far behind `from`.
    pub(super) fn offset(&mut self, from: i64) -> Option<i64> {
        let distance = i64::try_from(self.number()?).ok()?;
        from.checked_add(distance)
    }
}
