//! The client's errors, as errors of the contract.

use lapin::{
    Error as ClientError, ErrorKind as Kind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};
pub(crate) use microagent_core::driver::{broker_closed as closed, is_final, unavailable};
use microagent_core::{Error, ErrorKind};

/// Returns the error of the contract. The text contains no credentials.
pub(crate) fn error_of(error: &ClientError) -> Error {
    described(error, "the connection to rabbitmq is lost")
}

/// As [`error_of`], for a connection that was never there.
pub(crate) fn error_of_opening(error: &ClientError) -> Error {
    described(error, "cannot connect to rabbitmq")
}

fn described(error: &ClientError, without_answer: &str) -> Error {
    let text = match error.kind() {
        Kind::ProtocolError(answer) => format!("rabbitmq answered {}", answer.get_message()),
        Kind::MissingHeartbeatError => "rabbitmq did not answer in time".to_owned(),
        Kind::IOError(error) => format!("{without_answer}: {error}"),
        _ => format!("{without_answer}: {error}"),
    };
    Error::new(kind_of(error), text)
}

fn kind_of(error: &ClientError) -> ErrorKind {
    let Kind::ProtocolError(answer) = error.kind() else {
        return ErrorKind::Unavailable;
    };
    match answer.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
        | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => ErrorKind::Refused,
        AMQPErrorKind::Soft(AMQPSoftError::CONTENTTOOLARGE) => ErrorKind::PayloadTooLarge,
        AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED)
        | AMQPErrorKind::Hard(
            AMQPHardError::CONNECTIONFORCED
            | AMQPHardError::RESOURCEERROR
            | AMQPHardError::INVALIDPATH,
        ) => ErrorKind::Unavailable,
        _ => ErrorKind::Driver,
    }
}

/// Returns true for the answer that there is no such queue or exchange.
pub(crate) fn is_not_found(error: &ClientError) -> bool {
    is_soft(error, AMQPSoftError::NOTFOUND)
}

/// Returns true for the answer that a queue or an exchange exists with other properties.
pub(crate) fn is_of_other_kind(error: &ClientError) -> bool {
    is_soft(error, AMQPSoftError::PRECONDITIONFAILED)
}

fn is_soft(error: &ClientError, expected: AMQPSoftError) -> bool {
    let Kind::ProtocolError(answer) = error.kind() else {
        return false;
    };
    *answer.kind() == AMQPErrorKind::Soft(expected)
}
