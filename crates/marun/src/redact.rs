//! DSNs for people: without their secrets. What a DSN means know the drivers.

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
    match says_secret(name) {
        true => format!("{name}=***"),
        false => parameter.to_owned(),
    }
}

/// Whether a name speaks of a secret.
pub(crate) fn says_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    let secret = ["pass", "secret", "token", "key"];
    secret.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

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
