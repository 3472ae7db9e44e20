//! Conversion of errors of the client library.

use microagent_core::{Error, ErrorKind};
use redis::{ErrorKind as Kind, RedisError, ServerErrorKind};

/// Converts an error of the client library. The text has no credentials.
pub(crate) fn error_of(error: RedisError) -> Error {
    let code = code_of(&error);
    let kind = kind_of(error.kind(), code.as_deref());
    Error::new(kind, text_of(&error, code.as_deref()))
}

/// As [`error_of`], of a command that changes something. If its answer is missing, the error says what is unknown then.
pub(crate) fn error_of_change(error: RedisError, unknown: &str) -> Error {
    let is_answered = error.clone().into_server_errors().is_some();
    let error = error_of(error);
    match error.kind() {
        ErrorKind::Unavailable if !is_answered => {
            Error::new(ErrorKind::Unavailable, format!("{error}; {unknown}"))
        }
        _ => error,
    }
}

/// Returns the error of a database that the server refuses; `None` for another error.
pub(crate) fn refused_database(error: &RedisError, database: u32) -> Option<Error> {
    let of_server = error.clone().into_server_errors().is_some();
    if of_server || error.kind() != Kind::Server(ServerErrorKind::ResponseError) {
        return None;
    }
    let detail = error.detail().unwrap_or("no reason given");
    // The client keeps the words of the server, and not the code before them.
    let login = detail.contains("permissions") || detail.contains("Authentication required");
    let kind = if login {
        ErrorKind::Refused
    } else {
        ErrorKind::Configuration
    };
    let text = format!("redis refused database {database}: {detail}");
    Some(Error::new(kind, text))
}

/// Returns true for answers after which a connection must not be used again: a fail-over made its server a replica, or the
/// server forgot the login.
pub(crate) fn requires_reconnect(code: &str) -> bool {
    matches!(code, "READONLY" | "MASTERDOWN" | "NOAUTH" | "UNBLOCKED")
}

/// The first word of the server's own error, in a pipeline of the first command that failed.
fn code_of(error: &RedisError) -> Option<String> {
    if let Some(code) = error.code() {
        return Some(code.to_owned());
    }
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.code().to_owned())
}

fn kind_of(kind: Kind, code: Option<&str>) -> ErrorKind {
    match (kind, code) {
        (Kind::AuthenticationFailed, _)
        | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED")) => ErrorKind::Refused,
        (
            Kind::Io
            | Kind::MasterNameNotFoundBySentinel
            | Kind::NoValidReplicasFoundBySentinel
            | Kind::ClusterConnectionNotFound,
            _,
        )
        | (
            _,
            Some(
                "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "UNBLOCKED"
                | "NOREPLICAS" | "BUSY",
            ),
        ) => ErrorKind::Unavailable,
        _ => ErrorKind::Driver,
    }
}

fn text_of(error: &RedisError, code: Option<&str>) -> String {
    if error.kind() == Kind::AuthenticationFailed {
        return "redis refused the user name or the password, or expects none".to_owned();
    }
    if error.is_timeout() {
        return "redis did not answer in time".to_owned();
    }
    match (code, error.clone().into_server_errors()) {
        (Some(code), Some(errors)) => {
            let detail = errors.first().and_then(|(_, error)| error.details());
            format!("redis answered {code} {}", detail.unwrap_or_default())
                .trim_end()
                .to_owned()
        }
        _ if error.is_connection_dropped() => format!("the connection to redis is lost: {error}"),
        _ => format!("redis: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6572_726f),
            ..Default::default()
        })]

        #[test]
        fn any_answer_has_a_kind_and_a_text(line in "[A-Z]{0,12} ?[ -~]{0,24}") {
            let error = error_of(answered(&line));
            proptest::prop_assert!(error.to_string().starts_with("redis"), "{}", error);
        }
    }

    #[test]
    fn answers_of_the_server_have_kinds() {
        let cases = [
            ("NOPERM this user has no permissions", ErrorKind::Refused),
            ("WRONGPASS invalid", ErrorKind::Refused),
            ("NOAUTH Authentication required.", ErrorKind::Refused),
            ("LOADING Redis is loading", ErrorKind::Unavailable),
            ("READONLY You can't write", ErrorKind::Unavailable),
            ("UNBLOCKED force unblock", ErrorKind::Unavailable),
            (
                "NOREPLICAS Not enough good replicas",
                ErrorKind::Unavailable,
            ),
            ("OOM command not allowed", ErrorKind::Driver),
            ("WRONGTYPE Operation against", ErrorKind::Driver),
            ("ERR unknown command", ErrorKind::Driver),
        ];
        for (line, kind) in cases {
            let error = error_of(answered(line));
            assert_eq!(error.kind(), kind, "{line}");
            assert_eq!(error.to_string(), format!("redis answered {line}"));
        }
    }

    #[test]
    fn only_a_failed_over_or_forgetful_server_condemns_its_connection() {
        assert!(requires_reconnect("READONLY") && requires_reconnect("NOAUTH"));
        assert!(!requires_reconnect("NOPERM") && !requires_reconnect("OOM"));
    }

    #[test]
    fn a_broken_connection_is_unavailable() {
        let io = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = error_of(io.into());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            "the connection to redis is lost: broken pipe"
        );
        let timeout = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(
            error_of(timeout.into()).to_string(),
            "redis did not answer in time"
        );
    }
}
