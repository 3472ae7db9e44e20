//! The values that a field allows, as one bit each.

use std::fmt;

/// A set of numbers from 0 to 63: the minutes, hours, days or months of a schedule.
///
/// ```
/// use microagent_schema::CronSpec;
///
/// let minutes = CronSpec::parse("5-59/20 * * * *").unwrap().minutes();
/// assert_eq!(minutes.iter().collect::<Vec<_>>(), [5, 25, 45]);
/// assert!(minutes.contains(25));
/// assert_eq!(minutes.first_from(26), Some(45));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FieldSet(u64);

impl FieldSet {
    /// Returns whether the value is allowed.
    #[must_use]
    pub fn contains(self, value: u8) -> bool {
        self.0
            .checked_shr(value.into())
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// Returns the lowest allowed value that is not below `value`.
    #[must_use]
    pub fn first_from(self, value: u8) -> Option<u8> {
        let below = self.0.checked_shr(value.into()).filter(|bits| *bits != 0)?;
        u8::try_from(below.trailing_zeros())
            .ok()
            .map(|distance| value + distance)
    }

    /// Returns the allowed values, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |value| self.contains(*value))
    }

    /// Returns whether nothing is allowed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<u8> for FieldSet {
    /// Values above 63 have no place in any field and are left out.
    fn from_iter<I: IntoIterator<Item = u8>>(values: I) -> Self {
        let bits = values
            .into_iter()
            .filter_map(|value| 1u64.checked_shl(value.into()));
        Self(bits.fold(0, |set, bit| set | bit))
    }
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_values_like_others() {
        let set: FieldSet = [0, 63].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63]);
        assert_eq!((set.first_from(1), set.first_from(64)), (Some(63), None));
        assert!(!set.contains(64) && !set.contains(255));
    }

    #[test]
    fn an_empty_set_holds_nothing() {
        let set = FieldSet::default();
        assert!(set.is_empty() && set.first_from(0).is_none() && set.iter().next().is_none());
    }
}
