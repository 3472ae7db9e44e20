//! The client's errors, as errors of the contract.

pub(crate) use microagent_core::driver::{broker_closed as closed, is_final, unavailable};
use microagent_core::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Returns the error of the contract. The text contains no credentials.
pub(crate) fn error_of(error: &KafkaError) -> Error {
    let kind = match (error, code_of(error)) {
        (_, Some(code)) => kind_of(code),
        (KafkaError::Canceled, None) => ErrorKind::Unavailable,
        _ => ErrorKind::Driver,
    };
    Error::new(kind, format!("kafka: {error}"))
}

pub(crate) fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        // The client knows no code of it.
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

/// Returns the error of the contract, with the queue that it is about. Errors of the connection are about none.
pub(crate) fn error_with(error: &KafkaError, queue: &str) -> Error {
    let error = error_of(error);
    if is_final(&error) {
        return error.context(format_args!("queue `{queue}`"));
    }
    error
}

/// Returns the error of the contract for a request that needs a right on the topic of the queue.
pub(crate) fn error_of_right(error: &KafkaError, queue: &str, right: &str) -> Error {
    match code_of(error) {
        Some(Code::TopicAuthorizationFailed) => error_of(error).context(format_args!(
            "missing right `{right}` on the topic of queue `{queue}`"
        )),
        _ => error_with(error, queue),
    }
}

pub(crate) fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            ErrorKind::Unroutable
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => ErrorKind::PayloadTooLarge,
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::PolicyViolation
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor => ErrorKind::Refused,
        Code::InvalidArgument | Code::InvalidConfig => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    }
}

pub(crate) fn no_thread(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Driver, format!("cannot start a thread: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_administration_has_the_kind_of_its_code() {
        let kind = |code| error_of(&KafkaError::AdminOp(code)).kind();
        assert_eq!(kind(Code::InvalidReplicationFactor), ErrorKind::Refused);
        assert_eq!(kind(Code::RequestTimedOut), ErrorKind::Unavailable);
        assert!(!is_final(&error_of(&KafkaError::Canceled)));
    }
}
