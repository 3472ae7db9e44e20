//! Replaces `operate.rs` in a launcher that is built without the feature `operate`.

use crate::{exit::Failure, supervise::Board};

/// The running server: none.
pub(crate) struct Served;

/// Refuses an address.
pub(crate) fn serve(
    address: Option<&str>,
    _names: Vec<String>,
    _board: &Board,
) -> Result<Served, Failure> {
    match address {
        None => Ok(Served),
        Some(_) => Err(Failure::usage(
            "--http is not supported by this launcher: enable the feature `operate` of the crate `marun`",
        )),
    }
}
