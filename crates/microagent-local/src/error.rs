//! The errors of this driver that more than one module returns, or whose text is about the driver as a whole.

pub(crate) use microagent_core::driver::unavailable;
use microagent_core::{Error, ErrorKind, driver::redacted};

use crate::protocol::VERSION;

pub(crate) fn ended() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the connection has ended with the runtime on which it was opened",
    )
}

/// The one answer to a settlement of an earlier connection.
pub(crate) fn too_late() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection ended before the settlement; the message is delivered again",
    )
}

pub(crate) fn other_version(version: u16) -> Error {
    let text = format!(
        "the hub speaks version {version} of the protocol, this program speaks {VERSION}: all programs of one folder \
         must be built with the same one"
    );
    Error::new(ErrorKind::Configuration, text)
}

pub(crate) fn refused_dsn(dsn: &str, why: &str) -> Error {
    let text = format!("invalid DSN `{}` of the local driver: {why}", redacted(dsn));
    Error::new(ErrorKind::Configuration, text)
}
