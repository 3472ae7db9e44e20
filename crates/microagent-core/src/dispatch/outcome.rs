//! The one place that decides what happens to a message after its handler.

use crate::delivery::Settlement;

/// What a delivery that nobody settled becomes.
pub(crate) fn abandoned() -> Settlement {
    Settlement::Return
}
