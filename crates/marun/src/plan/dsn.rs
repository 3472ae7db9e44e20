//! What the launcher itself does with DSNs: it hides their passwords and makes the folders of `local:` absolute.
//! What a DSN means know the drivers.

use std::path::Path;

use crate::{local::DEFAULT_FOLDER, settings::Place};

/// The scheme of the embedded default.
const LOCAL: &str = "local:";

/// The DSN as all processes can use it: a relative folder of `local:` starts at the settings file, wherever the
/// launcher was called.
pub(crate) fn absolute(dsn: &str, place: &Place) -> String {
    let Some(rest) = dsn.strip_prefix(LOCAL) else {
        return dsn.to_owned();
    };
    let (path, query) = match rest.find('?') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = match path {
        "" => DEFAULT_FOLDER,
        path => path,
    };
    if Path::new(path).is_absolute() {
        return dsn.to_owned();
    }
    format!("{LOCAL}{}{query}", place.folder().join(path).display())
}

/// Whether the DSN is of the embedded default, whose hub the launcher hosts.
pub(crate) fn is_local(dsn: &str) -> bool {
    dsn.starts_with(LOCAL)
}

/// Whether nobody outside of the process can be reached.
pub(crate) fn is_memory(dsn: &str) -> bool {
    dsn.starts_with("memory:")
}

/// The DSN without its secrets, for people: passwords, and the values of parameters whose names speak of secrets.
pub(crate) fn redacted(dsn: &str) -> String {
    let (address, query) = match dsn.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (dsn, None),
    };
    let address = redact_password(address);
    match query {
        None => address,
        Some(query) => {
            let parameters: Vec<_> = query.split('&').map(redact_parameter).collect();
            format!("{address}?{}", parameters.join("&"))
        }
    }
}

fn redact_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    // The last `@`: a careless password may hold one.
    let Some((login, host)) = rest.rsplit_once('@') else {
        return address.to_owned();
    };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{host}"),
        None => format!("{scheme}://{login}@{host}"),
    }
}

fn redact_parameter(parameter: &str) -> String {
    let Some((name, _)) = parameter.split_once('=') else {
        return parameter.to_owned();
    };
    let lower = name.to_lowercase();
    let secret = ["pass", "secret", "token", "key"];
    match secret.iter().any(|word| lower.contains(word)) {
        true => format!("{name}=***"),
        false => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "local")]
    fn local_folders_start_at_the_settings_file() {
        let place = Place::top(Path::new("/srv/app/settings.toml"));
        let cases = [
            ("local:", "local:/srv/app/.microagent"),
            ("local:queues", "local:/srv/app/queues"),
            ("local:?a=b", "local:/srv/app/.microagent?a=b"),
            ("local:/var/q?a=b", "local:/var/q?a=b"),
            ("redis://localhost/7", "redis://localhost/7"),
        ];
        for (dsn, expected) in cases {
            assert_eq!(absolute(dsn, &place), expected);
        }
    }

    #[test]
    fn secrets_are_hidden() {
        let cases = [
            ("redis://localhost/7", "redis://localhost/7"),
            ("redis://:pw@localhost/7", "redis://:***@localhost/7"),
            ("amqp://u:p@ss@host/?x=1", "amqp://u:***@host/?x=1"),
            (
                "nats://u@host?Password=a&b=c&d",
                "nats://u@host?Password=***&b=c&d",
            ),
            ("local:/x", "local:/x"),
        ];
        for (dsn, expected) in cases {
            assert_eq!(redacted(dsn), expected);
        }
    }
}
