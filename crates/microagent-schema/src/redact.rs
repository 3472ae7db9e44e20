//! DSNs and URLs without their secrets, for logs and errors. Invalid texts are redacted as carefully as valid ones.

/// Words in a name whose value is a secret.
const SECRET: [&str; 4] = ["pass", "secret", "token", "key"];

/// Words in the name of an option whose value is rather hidden than shown.
const DOUBTFUL: [&str; 4] = ["auth", "cred", "pwd", "signature"];

/// The schemes of web addresses, whose queries often hold signatures.
const WEB: [&str; 3] = ["http", "https", "ftp"];

/// The replacement of a secret.
const HIDDEN: &str = "***";

/// Returns a DSN or a URL without its secrets: the password; a user name without a password, which may be a token; the values of
/// options whose names suggest secrets; and a fragment. Of a web address everything before the host and the whole query is
/// removed.
///
/// If there is no `@` before the first `/`, `?` or `#`, everything before the last `@` counts as user name and password, because a
/// password that was not percent-encoded may hold them.
///
/// ```
/// use microagent_schema::redacted;
///
/// assert_eq!(redacted("redis://shop:s3cret@db.example/7"), "redis://shop:***@db.example/7");
/// assert_eq!(redacted("redis://:a/b?c@db.example/7?tls=true"), "redis://:***@db.example/7?tls=true");
/// assert_eq!(redacted("https://u:s3cret@web.example/signals.json?t=s3cret"), "https://web.example/signals.json?…");
/// assert_eq!(redacted("local:/var/lib/shop"), "local:/var/lib/shop");
/// ```
#[must_use]
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return redacted_opaque(url);
    };
    let is = |known: &&str| scheme.eq_ignore_ascii_case(known);
    if is(&"file") {
        return url.to_owned();
    }
    let (login, rest) = split_login(rest);
    if WEB.iter().any(is) {
        return format!("{scheme}://{}", redacted_web(rest));
    }
    let login = login.map(redacted_login).unwrap_or_default();
    format!("{scheme}://{login}{}", redacted_path(rest))
}

/// Returns the part that may hold user name and password, and the rest from the host on.
fn split_login(rest: &str) -> (Option<&str>, &str) {
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..authority_end].rfind('@').or_else(|| rest.rfind('@'));
    match at {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    }
}

fn redacted_login(login: &str) -> String {
    let user = login.split_once(':').map(|(user, _)| user);
    let is_plain = |user: &&str| !user.contains(['/', '?', '#', '@', '=']);
    match user.filter(is_plain) {
        Some(user) => format!("{user}:{HIDDEN}@"),
        None => format!("{HIDDEN}@"),
    }
}

fn redacted_web(rest: &str) -> String {
    match rest.find(['?', '#']) {
        Some(at) => format!("{}…", &rest[..=at]),
        None => rest.to_owned(),
    }
}

/// Redacts a DSN of a path, or a text that should have been a DSN.
fn redacted_opaque(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) if !text.starts_with("local:") => {
            format!("{HIDDEN}@{}", redacted_path(rest))
        }
        _ => redacted_path(text),
    }
}

/// Hides the options and fragments that may be secrets.
fn redacted_path(text: &str) -> String {
    let (text, fragment) = match text.split_once('#') {
        Some((text, _)) => (text, format!("#{HIDDEN}")),
        None => (text, String::new()),
    };
    let Some((path, query)) = text.split_once('?') else {
        return format!("{text}{fragment}");
    };
    let options: Vec<_> = query.split('&').map(redacted_option).collect();
    format!("{path}?{}{fragment}", options.join("&"))
}

fn redacted_option(option: &str) -> String {
    let Some((name, _)) = option.split_once('=') else {
        return option.to_owned();
    };
    let lower = name.to_lowercase();
    let is_doubtful = DOUBTFUL.iter().any(|word| lower.contains(word));
    // A percent sign can encode any letter.
    if says_secret(name) || is_doubtful || name.contains('%') {
        format!("{name}={HIDDEN}")
    } else {
        option.to_owned()
    }
}

/// Returns whether the name of an option or of a variable suggests a secret: it contains `pass`, `secret`, `token` or `key`.
///
/// ```
/// assert!(microagent_schema::says_secret("SMTP_PASSWORD"));
/// assert!(!microagent_schema::says_secret("SMTP_HOST"));
/// ```
#[must_use]
pub fn says_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    SECRET.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parts_are_shown() {
        let urls = [
            "redis://localhost/7",
            "redis+sentinel://a:1,b/main/7?tls=true",
            "redis://",
            "local:/x@y?size=1",
            "memory://name",
            "file:///etc/a#b@c?d.json",
            "https://web.example:8443/signals.json",
            "",
        ];
        for url in urls {
            assert_eq!(redacted(url), url);
        }
    }

    #[test]
    fn secrets_are_hidden_and_the_rest_is_shown() {
        let cases = [
            ("redis://:pw@localhost/7", "redis://:***@localhost/7"),
            ("amqp://u:p@ss@host/?x=1", "amqp://u:***@host/?x=1"),
            (
                "nats://t0ken@host?Password=a&b=c&d",
                "nats://***@host?Password=***&b=c&d",
            ),
            ("redis://h?p%61ss=a", "redis://h?p%61ss=***"),
            ("local:/x?token=a#b", "local:/x?token=***#***"),
            ("http://u:pw@host/a@b/c?d", "http://host/a@b/c?…"),
            ("http://u:p/w@host/a", "http://host/a"),
            ("http://host/a?b", "http://host/a?…"),
            ("HTTP://u@host/a#b", "HTTP://host/a#…"),
        ];
        for (url, expected) in cases {
            assert_eq!(redacted(url), expected);
        }
    }

    /// Places of a secret, with and without its percent-encoding, in any scheme.
    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        let places = [
            "u:s3cr3t@host/7",
            ":s3cr3t@host",
            "s3cr3t@host",
            "u:a/s3cr3t@host/7",
            "u:a?s3cr3t@host/7",
            "u:a?x=s3cr3t@host/7",
            "u:a#s3cr3t@host/7",
            "u:a@s3cr3t@host/7",
            "u:12/s3cr3t@host/7",
            "host/7?password=s3cr3t",
            "host/7?x=1&api_key=s3cr3t&y",
            "host/7?sentinel_password=s3cr3t",
            "host/7#s3cr3t",
            "host/7?x=1#s3cr3t",
            "host?password=s3cr3t:x@y",
        ];
        for place in places {
            for scheme in [
                "redis",
                "rediss",
                "redis+sentinel",
                "amqp",
                "http",
                "https",
                "unknown",
            ] {
                let url = format!("{scheme}://{place}");
                assert!(
                    !redacted(&url).contains("s3cr3t"),
                    "{url}: {}",
                    redacted(&url)
                );
            }
        }
        let others = [
            "http://host/x?s3cr3t",
            "s3cr3t@host/7",
            "u:s3cr3t@host/7",
            "local:/x?password=s3cr3t",
            "local:/x#s3cr3t",
        ];
        for url in others {
            assert!(
                !redacted(url).contains("s3cr3t"),
                "{url}: {}",
                redacted(url)
            );
        }
    }
}
