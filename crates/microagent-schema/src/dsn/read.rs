//! Reading a DSN. No error quotes text that may belong to a user name or a password.

use super::{Dsn, DsnError, Host};

type Result<T> = std::result::Result<T, DsnError>;

pub(super) fn read(dsn: &str) -> Result<Dsn> {
    let Some(scheme) = Dsn::scheme_of(dsn) else {
        return Err(DsnError::new(
            "missing scheme: expected `SCHEME://…` or `SCHEME:PATH`",
        ));
    };
    let rest = &dsn[scheme.len() + 1..];
    match rest.strip_prefix("//") {
        Some(rest) => with_authority(scheme, rest),
        None => path_only(scheme, rest),
    }
}

fn path_only(scheme: &str, rest: &str) -> Result<Dsn> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok(Dsn {
        scheme: scheme.to_owned(),
        user: None,
        password: None,
        hosts: Vec::new(),
        path: path.to_owned(),
        options: options_of(query)?,
    })
}

fn with_authority(scheme: &str, rest: &str) -> Result<Dsn> {
    if rest.contains('#') {
        return Err(DsnError::new(
            "unexpected `#`: write `%23` for it; a DSN has no fragment",
        ));
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path_start = before_query.find('/').unwrap_or(before_query.len());
    let (authority, path) = before_query.split_at(path_start);
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (login, hosts),
        None if !authority.is_empty() && rest.contains('@') => {
            return Err(DsnError::new(
                "invalid user name or password: write `%2F` for `/` and `%3F` for `?`",
            ));
        }
        None => ("", authority),
    };
    let (user, password) = login_of(login)?;
    Ok(Dsn {
        scheme: scheme.to_owned(),
        user,
        password,
        hosts: hosts_of(hosts)?,
        path: decode(path, "path")?,
        options: options_of(query)?,
    })
}

fn login_of(login: &str) -> Result<(Option<String>, Option<String>)> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let part = |text, name| match text {
        "" => Ok(None),
        text => decode(text, name).map(Some),
    };
    Ok((part(user, "user name")?, part(password, "password")?))
}

fn hosts_of(hosts: &str) -> Result<Vec<Host>> {
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    hosts.split(',').map(host_of).collect()
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`.
fn host_of(text: &str) -> Result<Host> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(bracketed) => bracketed,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => port_of(digits).map(Some),
        None => port.is_empty().then_some(None),
    };
    let unusable = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '%');
    match port {
        Some(port) if !name.is_empty() && !name.contains(unusable) => Ok(Host {
            name: name.to_owned(),
            port,
        }),
        _ => Err(DsnError::new(
            "invalid host: expected a name or an address, IPv6 in brackets, and optionally `:` and a port from 1 to 65535",
        )),
    }
}

/// Digits only: `parse` would take `+80` as well.
fn port_of(digits: &str) -> Option<u16> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = all_digits.then(|| digits.parse().ok()).flatten();
    port.filter(|port| *port != 0)
}

fn options_of(query: &str) -> Result<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(option_of).collect()
}

fn option_of(pair: &str) -> Result<(String, String)> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = decode(name, "name of an option")?;
    let value = decode(value, &format!("value of the option `{name}`"))?;
    Ok((name, value))
}

fn decode(text: &str, part: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let byte = after.first_chunk().and_then(byte_of);
        let Some(byte) = byte else {
            return Err(DsnError::new(format!(
                "invalid {part}: expected two hexadecimal digits after `%`; write `%25` for a percent sign"
            )));
        };
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes)
        .map_err(|_| DsnError::new(format!("invalid {part}: expected UTF-8 after decoding")))
}

/// Two hexadecimal digits. `from_str_radix` would take `+4` as well.
fn byte_of(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits.map(digit);
    u8::try_from(high? * 16 + low?).ok()
}
