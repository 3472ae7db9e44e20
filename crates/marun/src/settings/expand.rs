//! Replaces `${VAR}` and `${VAR:-default}` in string values. The environment is a parameter, so
//! that tests can set their own.

use std::ffi::OsString;

use super::{place::Place, problems::SettingsError};

/// A function that returns the value of a variable, or `None` if it is not set.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Replaces every `${…}` in `text`. `$$` becomes `$`; a `$` before any character but `{` and `$`
/// stays. The default is used if the variable is not set or empty, as in a shell.
pub(crate) fn expand(
    text: &str,
    place: &Place,
    environment: Environment<'_>,
) -> Result<String, SettingsError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}');
            let end =
                end.ok_or_else(|| place.error("missing `}` after `${`; write `$$` for a `$`"))?;
            expanded.push_str(&substitute(&after[..end], place, environment)?);
            rest = &after[end + 1..];
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Returns the value of the text between `${` and `}`.
fn substitute(
    inside: &str,
    place: &Place,
    environment: Environment<'_>,
) -> Result<String, SettingsError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    check_name(name, inside, place)?;
    if default.is_some_and(|text| text.contains("${")) {
        return Err(place.error(format!(
            "the default of `${{{name}…` cannot contain another `${{`"
        )));
    }
    let value = environment(name).map(OsString::into_string).transpose();
    let value = value.map_err(|_| {
        place.error(format!(
            "invalid environment variable {name}: expected UTF-8 text"
        ))
    })?;
    match (value, default) {
        (Some(value), _) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (Some(empty), None) => Ok(empty),
        (None, None) => Err(place.error(format!(
            "the environment variable {name} is not set; set it, or give a default: `${{{name}:-default}}`"
        ))),
    }
}

fn check_name(name: &str, inside: &str, place: &Place) -> Result<(), SettingsError> {
    let mut letters = name.bytes();
    let head = letters
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if head && letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    Err(place.error(format!(
        "invalid variable `${{{inside}}}`: expected `${{NAME}}` or `${{NAME:-default}}`; write `$$` for a `$`"
    )))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::ffi::OsStringExt, path::Path};

    use super::*;

    fn run(text: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "HOST" => Some("db".into()),
            "EMPTY" => Some(OsString::new()),
            "LATIN1" => Some(OsString::from_vec(b"stra\xdfe".to_vec())),
            _ => None,
        };
        let place = Place::top(Path::new("s.toml")).child("bus", Some(1));
        expand(text, &place, &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_and_defaults() {
        let cases = [
            ("redis://${HOST}/7", "redis://db/7"),
            ("${HOST}${HOST}", "dbdb"),
            ("${NONE:-x}", "x"),
            ("${NONE:-}", ""),
            ("${HOST:-x}", "db"),
            ("${EMPTY:-x}", "x"),
            ("[${EMPTY}]", "[]"),
            ("$${HOST}", "${HOST}"),
            ("5$ and $HOST", "5$ and $HOST"),
            ("${NONE:-a:-b}", "a:-b"),
            ("ü${HOST}ü", "üdbü"),
        ];
        for (text, expected) in cases {
            assert_eq!(run(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_place_and_variable() {
        let cases = [
            ("${NONE}", "the environment variable NONE is not set"),
            ("${LATIN1}", "variable LATIN1: expected UTF-8"),
            ("${LATIN1:-x}", "variable LATIN1: expected UTF-8"),
            ("${HOST", "missing `}`"),
            ("${}", "invalid variable `${}`"),
            ("${A B}", "invalid variable `${A B}`: expected"),
            ("${1A}", "invalid variable `${1A}`"),
            ("${NONE:-${HOST}}", "cannot contain another"),
        ];
        for (text, expected) in cases {
            let message = run(text).unwrap_err();
            assert!(message.starts_with("s.toml:1: bus: "), "{message}");
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
