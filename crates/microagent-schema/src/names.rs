//! Rules for the names of signals, queues, arguments, prefixes and senders.
//!
//! Each function checks one name. [`Declarations`](crate::Declarations) checks for duplicates.

use std::fmt;

/// Characters that would change the meaning of a channel name or of a subscription's pattern.
const RESERVED_IN_PREFIXES: &[char] = &[':', '#', '*', '?', '[', ']', '\\'];

/// The characters that end a part of a channel's name.
const RESERVED_IN_SENDERS: &[char] = &[':', '#'];

/// The end of the name of a dead-letter queue. A declared name has no dot, so the two never collide.
pub const DEAD_LETTER_SUFFIX: &str = ".dead";

/// An invalid name, with the problem and the allowed characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(String);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NameError {}

/// Checks the name of a signal: `[a-z_][a-z0-9_]*`, and neither `response` nor `status`.
///
/// # Errors
/// [`NameError`], with the name and what is allowed.
///
/// ```
/// use microagent_schema::names::check_signal;
///
/// assert!(check_signal("user_created").is_ok());
/// assert!(check_signal("UserCreated").is_err());
/// ```
pub fn check_signal(name: &str) -> Result<(), NameError> {
    check_lower_case("signal", name)?;
    let purpose = match name {
        "response" => "answers to calls",
        "status" => "questions about the status of agents",
        _ => return Ok(()),
    };
    Err(NameError(format!(
        "invalid signal name `{name}`: {purpose} use this name; expected any other name"
    )))
}

/// Checks the name of a queue: `[a-z_][a-z0-9_]*`. It has no dot, so it never equals a dead-letter queue's name.
///
/// # Errors
/// [`NameError`], with the name and what is allowed.
///
/// ```
/// use microagent_schema::names::check_queue;
///
/// assert!(check_queue("mailer").is_ok());
/// assert!(check_queue("mailer.dead").is_err());
/// ```
pub fn check_queue(name: &str) -> Result<(), NameError> {
    check_lower_case("queue", name)
}

fn check_lower_case(what: &str, name: &str) -> Result<(), NameError> {
    if is_word(name, |letter| letter.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(NameError(format!(
        "invalid {what} name `{name}`: expected lower-case letters, digits and `_`, not starting with a digit"
    )))
}

/// Checks the name of a signal's argument: an identifier of both Rust and Python that collides with nothing.
///
/// # Errors
/// [`NameError`], with the name and what is allowed.
///
/// ```
/// use microagent_schema::names::check_argument;
///
/// assert!(check_argument("user_id").is_ok());
/// assert!(check_argument("type").is_ok());
/// assert!(check_argument("sender").is_err());
/// ```
pub fn check_argument(name: &str) -> Result<(), NameError> {
    let reason = match name {
        "signal" | "sender" => "Python passes its own value under that name to every handler",
        "self" => "it is the handler's own object in Rust and in Python",
        "Self" | "super" | "crate" | "_" => "it cannot name a field in Rust",
        _ if is_word(name, |letter| letter.is_ascii_alphabetic()) => return Ok(()),
        _ => {
            return Err(NameError(format!(
                "invalid argument name `{name}`: expected letters, digits and `_`, not starting with a digit"
            )));
        }
    };
    Err(NameError(format!(
        "invalid argument name `{name}`: {reason}; expected any other identifier"
    )))
}

/// Checks the prefix of a deployment's channels: not empty, none of `: # * ? [ ] \`, no control character.
///
/// # Errors
/// [`NameError`], with the prefix and what is allowed.
///
/// ```
/// use microagent_schema::names::check_prefix;
///
/// assert!(check_prefix("PUBSUB").is_ok());
/// assert!(check_prefix("a:b").is_err());
/// ```
pub fn check_prefix(prefix: &str) -> Result<(), NameError> {
    check_part_of_channel("prefix", prefix, RESERVED_IN_PREFIXES)
}

/// Checks the sender of a signal: not empty, neither `:` nor `#`, no control character.
///
/// A peer in Python that receives `a:b`, `a#b#c`, or a call from `a#b`, stops receiving that signal. The characters of
/// patterns (`* ? [ ] \`) are allowed here: a sender is never part of a pattern.
///
/// # Errors
/// [`NameError`], with the sender and what is allowed.
///
/// ```
/// use microagent_schema::names::check_sender;
///
/// assert!(check_sender("user_agent").is_ok() && check_sender("web[1]").is_ok());
/// assert!(check_sender("a:b").is_err() && check_sender("a#b").is_err());
/// ```
pub fn check_sender(sender: &str) -> Result<(), NameError> {
    check_part_of_channel("sender", sender, RESERVED_IN_SENDERS)
}

fn check_part_of_channel(what: &str, name: &str, reserved: &[char]) -> Result<(), NameError> {
    let refused = |c: char| reserved.contains(&c) || c.is_control();
    if !name.is_empty() && !name.contains(refused) {
        return Ok(());
    }
    let reserved: Vec<_> = reserved.iter().map(char::to_string).collect();
    Err(NameError(format!(
        "invalid {what} {name:?}: expected a text that is not empty, without {} and control characters",
        reserved.join(" ")
    )))
}

fn is_word(name: &str, is_letter: impl Fn(char) -> bool) -> bool {
    let allowed_first = |c: char| is_letter(c) || c == '_';
    let mut rest = name.chars();
    rest.next().is_some_and(&allowed_first) && rest.all(|c| allowed_first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_and_queues_are_lower_case_words() {
        for good in ["a", "_", "user_created", "v2", "_x9"] {
            assert!(
                check_signal(good).is_ok() && check_queue(good).is_ok(),
                "{good}"
            );
        }
        for bad in ["", "2v", "User", "a-b", "a.b", "a b", "é", "a\n"] {
            assert!(
                check_signal(bad).is_err() && check_queue(bad).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn internal_names_are_only_refused_as_signals() {
        for name in ["response", "status"] {
            let error = check_signal(name).unwrap_err().to_string();
            assert!(
                error.ends_with("use this name; expected any other name"),
                "{error}"
            );
            assert!(check_queue(name).is_ok());
        }
    }

    #[test]
    fn arguments_may_be_keywords_but_must_fit_a_field_and_a_python_call() {
        for good in ["userId", "type", "async", "_private", "A1"] {
            assert!(check_argument(good).is_ok(), "{good}");
        }
        for bad in [
            "", "1a", "user-id", "ключ", "_", "self", "Self", "super", "crate", "signal",
        ] {
            assert!(check_argument(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        assert_eq!(
            check_queue("Mailer").unwrap_err().to_string(),
            "invalid queue name `Mailer`: expected lower-case letters, digits and `_`, not starting with a digit"
        );
    }

    #[test]
    fn prefixes_cannot_bend_a_channel_name() {
        for bad in ["", "a:b", "a#", "*", "a?", "[a", "a]", "\\", "a\nb"] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
        assert!(check_prefix("PREF 1").is_ok());
    }
}
