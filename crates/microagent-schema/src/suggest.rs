//! "did you mean": the known name nearest to an unknown one, and the list of all known names.
//!
//! Errors about unknown options, settings, drivers and fields end with what this module builds, so
//! that they read the same everywhere.

use std::fmt::Display;

/// Returns an error text for a name that is not known: the nearest known name, then all of them.
///
/// `what` is the kind of name, in the singular.
///
/// ```
/// use microagent_schema::suggest::unknown;
///
/// let text = unknown("option", "tsl", ["tls", "sentinel_user"]);
/// assert_eq!(text, "unknown option `tsl`; did you mean `tls`? (available: `tls`, `sentinel_user`)");
///
/// assert_eq!(unknown("option", "tsl", []), "unknown option `tsl` (none is available)");
/// ```
#[must_use]
pub fn unknown<'a>(
    what: impl Display,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    unknown_here(format!("{what} `{name}`"), name, known)
}

/// Returns an error text like [`unknown`], without the name: for a message that begins with the name or its place.
///
/// ```
/// use microagent_schema::suggest::unknown_here;
///
/// let text = unknown_here("key", "dns", ["dsn", "prefix"]);
/// assert_eq!(text, "unknown key; did you mean `dsn`? (available: `dsn`, `prefix`)");
/// ```
#[must_use]
pub fn unknown_here<'a>(
    what: impl Display,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    unknown_near(what, nearest(name, &known), &known)
}

/// Returns an error text like [`unknown_here`], with a known name that the caller has found.
pub(crate) fn unknown_near(what: impl Display, near: Option<&str>, known: &[&str]) -> String {
    let list = available(known);
    match near {
        Some(near) => format!("unknown {what}; {} ({list})", did_you_mean(near)),
        None => format!("unknown {what} ({list})"),
    }
}

/// Returns the question whether this name was meant.
///
/// ```
/// use microagent_schema::suggest::did_you_mean;
///
/// assert_eq!(did_you_mean("tls"), "did you mean `tls`?");
/// ```
#[must_use]
pub fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

/// Returns the list of what is available, as it ends an error text.
///
/// ```
/// use microagent_schema::suggest::available;
///
/// assert_eq!(available(&["tls", "db"]), "available: `tls`, `db`");
/// ```
#[must_use]
pub fn available(known: &[&str]) -> String {
    if known.is_empty() {
        return "none is available".to_owned();
    }
    let list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("available: {}", list.join(", "))
}

/// Returns the known name that was probably meant: one that a slip of the hand turns into `name`.
///
/// Letter case does not count, and two swapped letters count as one edit. A name may differ in one
/// edit, plus one for each four of its characters.
///
/// ```
/// use microagent_schema::suggest::nearest;
///
/// assert_eq!(nearest("mian", &["main", "audit"]), Some("main"));
/// assert_eq!(nearest("backup", &["main", "audit"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let (edits, near) = known
        .iter()
        .map(|known| (strsim::osa_distance(&lower, &known.to_lowercase()), *known))
        .min_by_key(|(edits, _)| *edits)?;
    (edits <= 1 + near.chars().count() / 4).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood() {
        let known = ["timeout", "tz", "on_error", "backend"];
        for (name, expected) in [
            ("timout", "timeout"),
            ("time_out", "timeout"),
            ("TimeOut", "timeout"),
            ("tx", "tz"),
            ("onerror", "on_error"),
            ("bakend", "backend"),
        ] {
            assert_eq!(nearest(name, &known), Some(expected), "{name}");
        }
    }

    #[test]
    fn an_unrelated_name_is_not_guessed() {
        for name in ["priority", "times", "x", ""] {
            assert_eq!(nearest(name, &["timeout", "retry"]), None, "{name}");
        }
        assert_eq!(nearest("x", &[]), None);
    }
}
