//! The targets of redirects. Only `http` and `https` are followed, and never from `https` to `http`.

use microagent_schema::Dsn;

/// Returns the scheme of a URL if it is one that can be loaded.
pub(super) fn scheme_of(url: &str) -> Option<&'static str> {
    let (scheme, _) = url.split_once("://")?;
    ["http", "https"]
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known))
}

/// Returns true if the URL has a host and a numeric port. With a `/`, a `?` or a `#` in a password, the client would take the
/// beginning of the password for a port, and show it in its error.
pub(super) fn is_usable(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let (authority, _) = cut(rest);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let port = match host.rsplit_once(']') {
        Some((_, port)) => port.strip_prefix(':'),
        None => host.split_once(':').map(|(_, port)| port),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    !host.is_empty() && port.is_none_or(is_port)
}

/// Returns the URL to which `location`, the answer to a request of `from`, leads.
///
/// # Errors
/// The reason for which it is not followed, without its text.
pub(super) fn target(from: &str, location: &str) -> Result<String, String> {
    let Some((scheme, rest)) = from.split_once("://") else {
        return Err("invalid redirect".to_owned());
    };
    if let Some(other) = Dsn::scheme_of(location) {
        let expected = match (scheme_of(from), scheme_of(location)) {
            (_, None) => "`http://` or `https://`",
            (Some("https"), Some("http")) => "`https://`, as before",
            _ => return Ok(location.to_owned()),
        };
        return Err(format!(
            "invalid redirect to `{other}:`: expected {expected}"
        ));
    }
    let (authority, path) = cut(rest);
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    Ok(match location {
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ if location.starts_with('?') => format!("{scheme}://{authority}{path}{location}"),
        _ => {
            let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
            format!("{scheme}://{authority}{folder}{location}")
        }
    })
}

/// Splits into the authority and the rest.
fn cut(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_to_http_and_https_are_followed() {
        let from = "http://u:p@host:8080/a/b.json?x=1";
        let cases = [
            ("https://other/c", "https://other/c"),
            ("http://other/c", "http://other/c"),
            ("//other/c", "http://other/c"),
            ("/c", "http://u:p@host:8080/c"),
            ("c.json?y", "http://u:p@host:8080/a/c.json?y"),
            ("?y", "http://u:p@host:8080/a/b.json?y"),
        ];
        for (location, expected) in cases {
            assert_eq!(target(from, location).as_deref(), Ok(expected));
        }
        assert_eq!(target("http://host", "c").unwrap(), "http://host/c");
    }

    #[test]
    fn redirects_to_other_schemes_are_rejected() {
        let from = "https://host/a";
        for location in [
            "file:///etc/passwd",
            "file:/etc/passwd",
            "ftp://host/a",
            "data:,x",
        ] {
            let why = target(from, location).unwrap_err();
            assert!(why.ends_with("expected `http://` or `https://`"), "{why}");
        }
        let why = target(from, "http://host/s3cr3t").unwrap_err();
        assert_eq!(
            why,
            "invalid redirect to `http:`: expected `https://`, as before"
        );
    }

    #[test]
    fn a_password_with_an_unescaped_delimiter_is_rejected() {
        for url in [
            "http://u:a/b@host/",
            "http://u:a?b@host/",
            "http://u:a#b@host/",
            "http://",
            "http://u@/a",
        ] {
            assert!(!is_usable(url), "{url}");
        }
        for url in [
            "http://u:a%2Fb@host/",
            "https://[::1]:80/a",
            "http://[::1]/",
            "http://host:8080",
            "http://h/a@b:c",
        ] {
            assert!(is_usable(url), "{url}");
        }
    }
}
