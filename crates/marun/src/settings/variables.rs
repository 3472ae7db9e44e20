//! The environment variables that a settings file refers to, and which of them hold secrets that
//! agents need not inherit.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
};

use microagent_schema::{redacted, says_secret};

use super::place::Place;

/// The environment variables that a settings file refers to by `${…}` and that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// All variables.
    pub(crate) named: BTreeSet<String>,
    /// The variables that hold a secret. Agents that need the value get it in their settings.
    pub(crate) secret: BTreeSet<String>,
}

impl Variables {
    /// Adds a variable whose value is a part of `text` at this place.
    pub(super) fn note(&mut self, place: &Place, name: &str, value: &OsStr, text: &str) {
        let value = value.to_string_lossy();
        if is_secret(place, name, &value, text) {
            self.secret.insert(name.to_owned());
        }
        self.named.insert(name.to_owned());
    }

    /// Adds the variables of another file.
    pub(crate) fn extend(&mut self, other: Self) {
        self.named.extend(other.named);
        self.secret.extend(other.secret);
    }
}

/// Returns whether the variable holds a secret: by its name, by the name of the key, as a whole
/// address, or as a part of an address that is hidden in output.
fn is_secret(place: &Place, name: &str, value: &str, text: &str) -> bool {
    let key = place.key();
    let last_key = key.rsplit('.').next().unwrap_or_default();
    // In `key_file = "${HOME}/key"`, `HOME` is not a secret, and agents need it.
    if says_secret(name) || (says_secret(last_key) && value == text) {
        return true;
    }
    let is_dsn = ["bus.", "broker."].iter().any(|kind| key.starts_with(kind)) && last_key == "dsn";
    if value.is_empty() || !(is_dsn || key == "declarations") {
        return false;
    }
    let times = |text: &str| text.matches(value).count();
    value == text || times(&redacted(text)) < times(text)
}

/// The name and value of a variable.
pub(super) type NameAndValue = (String, OsString);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn secret(keys: &[&str], name: &str, value: &str, text: &str) -> bool {
        let top = Place::top(Path::new("s.toml"));
        let place = keys.iter().fold(top, |place, key| place.child(key, None));
        let mut variables = Variables::default();
        variables.note(&place, name, OsStr::new(value), text);
        assert!(variables.named.contains(name));
        variables.secret.contains(name)
    }

    #[test]
    fn addresses_and_hidden_parts_of_them_are_secret() {
        let dsn = &["bus", "main", "dsn"];
        assert!(secret(dsn, "BUS", "local:data", "local:data"));
        assert!(secret(dsn, "PW", "s3cret", "redis://:s3cret@db/7"));
        assert!(secret(dsn, "PW", "redis", "redis://:redis@db/7"));
        assert!(!secret(dsn, "HOST", "db", "redis://:s3cret@db/7"));
        assert!(!secret(dsn, "HOME", "/home/shop", "local:/home/shop/data"));
        let url = "https://u:pw@host/signals.json";
        assert!(secret(&["declarations"], "LOGIN", "u:pw", url));
    }

    #[test]
    fn in_other_places_the_name_of_the_variable_or_key_decides() {
        let from = &["agent", "mailer", "settings", "from"];
        assert!(!secret(from, "MAIL_FROM", "a@b", "a@b"));
        assert!(secret(from, "SMTP_PASSWORD", "x", "x"));
        assert!(secret(
            &["agent", "a", "settings", "api_key"],
            "KEYS_OF_A",
            "x",
            "x"
        ));
        assert!(secret(&["agent", "a", "settings", "token"], "A", "x", "x"));
        let file = &["agent", "a", "settings", "key_file"];
        assert!(!secret(file, "HOME", "/home/shop", "/home/shop/key"));
    }
}
