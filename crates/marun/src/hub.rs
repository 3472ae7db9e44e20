//! The hubs of `local:` that a group needs, hosted beside its supervisor.

use crate::exit::Failure;
use std::collections::BTreeSet;
pub(crate) struct Hubs;
impl Hubs {
    pub(crate) fn start(_: &BTreeSet<&str>) -> Result<Self, Failure> {
        Ok(Self)
    }
    pub(crate) fn shutdown(self) {}
}
