//! The environment variables that a settings file names, and which of them are secrets that agents need not inherit. It reads no
//! environment.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
};

use microagent_schema::{redacted, says_secret};

use super::place::Place;

/// The variables that `${…}` names in a settings file, as far as they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// All of them.
    pub(crate) named: BTreeSet<String>,
    /// Those that hold a secret; who needs it gets it otherwise.
    pub(crate) secret: BTreeSet<String>,
}

impl Variables {
    /// Notes the variable, whose value is a part of `text` at this place.
    pub(super) fn note(&mut self, place: &Place, name: &str, value: &OsStr, text: &str) {
        let value = value.to_string_lossy();
        if is_secret(place, name, &value, text) {
            self.secret.insert(name.to_owned());
        }
        self.named.insert(name.to_owned());
    }

    /// Adds those of another file.
    pub(crate) fn extend(&mut self, other: Self) {
        self.named.extend(other.named);
        self.secret.extend(other.secret);
    }
}

/// Whether the variable holds an address as a whole, or a part that is hidden from people, or is called a secret.
fn is_secret(place: &Place, name: &str, value: &str, text: &str) -> bool {
    let key = place.key();
    let last_key = key.rsplit('.').next().unwrap_or_default();
    // `key_file = "${HOME}/key"` says nothing about `HOME`, which an agent needs.
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

/// A variable that was looked up, and its value.
pub(super) type LookedUp = (String, OsString);

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
    fn elsewhere_the_name_of_variable_or_key_says_so() {
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
