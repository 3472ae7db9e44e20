//! Reading a Redis DSN. No error quotes what may be a part of a password.

use microagent_core::{Error, ErrorKind, Result};

use super::{Host, Login, Place, RedisOptions};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Tcp { tls: bool },
    Unix,
    Sentinel,
    Cluster,
}

const SCHEMES: [(&str, Scheme); 5] = [
    ("redis://", Scheme::Tcp { tls: false }),
    ("rediss://", Scheme::Tcp { tls: true }),
    ("redis+unix://", Scheme::Unix),
    ("redis+sentinel://", Scheme::Sentinel),
    ("redis+cluster://", Scheme::Cluster),
];

/// The DSN, cut but not yet understood.
struct Parts<'a> {
    login: Login,
    hosts: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
}

pub(super) fn parse(dsn: &str) -> Result<RedisOptions> {
    let found = SCHEMES.iter().find(|(prefix, _)| dsn.starts_with(prefix));
    let Some((prefix, scheme)) = found else {
        let allowed = SCHEMES.map(|(prefix, _)| format!("`{prefix}`")).join(", ");
        return Err(refused(&format!("it begins with none of {allowed}")));
    };
    let parts = cut(&dsn[prefix.len()..])?;
    match scheme {
        Scheme::Tcp { tls } => tcp(*tls, parts),
        Scheme::Unix => unix(parts),
        Scheme::Sentinel => sentinel(parts),
        Scheme::Cluster => cluster(parts),
    }
}

fn cut(rest: &str) -> Result<Parts<'_>> {
    if rest.contains('#') {
        return Err(refused(
            "it holds a `#`; in a name or a password write `%23`, and fragments there are none",
        ));
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path_start = before_query.find('/').unwrap_or(before_query.len());
    let (authority, path) = before_query.split_at(path_start);
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (login, hosts),
        None if !authority.is_empty() && rest.contains('@') => {
            return Err(refused(
                "its user name or password holds a `/` or a `?`; write `%2F` and `%3F` for them",
            ));
        }
        None => ("", authority),
    };
    let query = query.split('&').filter(|pair| !pair.is_empty());
    Ok(Parts {
        login: login_of(login)?,
        hosts,
        path,
        query: query.map(parameter).collect::<Result<_>>()?,
    })
}

fn login_of(text: &str) -> Result<Login> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = |what, text: &str| match text {
        "" => Ok(None),
        text => decode(text, what).map(Some),
    };
    let login = Login {
        user: decoded("the user name", user)?,
        password: decoded("the password", password)?,
    };
    if login.user.is_some() && login.password.is_none() {
        return Err(refused(
            "it names a user without a password; `USER:PASSWORD@` and `:PASSWORD@` are allowed",
        ));
    }
    Ok(login)
}

fn parameter(pair: &str) -> Result<(String, String)> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = decode(name, "a parameter's name")?;
    let value = decode(value, &format!("the parameter `{name}`"))?;
    Ok((name, value))
}

fn tcp(tls: bool, parts: Parts<'_>) -> Result<RedisOptions> {
    only_parameters(&parts.query, &[])?;
    let host = match parts.hosts {
        "" => "localhost",
        hosts => hosts,
    };
    if host.contains(',') {
        return Err(refused(
            "it names several hosts; that is for `redis+sentinel://` and `redis+cluster://`",
        ));
    }
    Ok(RedisOptions {
        place: Place::Tcp(host_of(host, REDIS_PORT)?),
        tls,
        login: parts.login,
        database: database(parts.path.trim_matches('/'))?,
    })
}

fn unix(parts: Parts<'_>) -> Result<RedisOptions> {
    only_parameters(&parts.query, &["db"])?;
    if !parts.hosts.is_empty() || parts.path.len() < 2 {
        return Err(refused(
            "a socket is named by its absolute path: `redis+unix:///run/redis.sock`",
        ));
    }
    Ok(RedisOptions {
        place: Place::Unix(decode(parts.path, "the path")?.into()),
        tls: false,
        login: parts.login,
        database: database(value(&parts.query, "db").unwrap_or_default())?,
    })
}

fn sentinel(parts: Parts<'_>) -> Result<RedisOptions> {
    let allowed = ["tls", "sentinel_user", "sentinel_password"];
    only_parameters(&parts.query, &allowed)?;
    let path = parts.path.trim_matches('/');
    let (master, number) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(refused(
            "it names no master: `redis+sentinel://HOST,HOST/MASTER/DB` is expected",
        ));
    }
    let login = Login {
        user: value(&parts.query, "sentinel_user").map(str::to_owned),
        password: value(&parts.query, "sentinel_password").map(str::to_owned),
    };
    if login.user.is_some() && login.password.is_none() {
        return Err(refused(
            "it has the parameter `sentinel_user` without `sentinel_password`",
        ));
    }
    let place = Place::Sentinel {
        sentinels: hosts_of(parts.hosts, SENTINEL_PORT)?,
        master: decode(master, "the master's name")?,
        login,
    };
    Ok(RedisOptions {
        place,
        tls: flag(&parts.query, "tls")?,
        login: parts.login,
        database: database(number)?,
    })
}

fn cluster(parts: Parts<'_>) -> Result<RedisOptions> {
    only_parameters(&parts.query, &["tls"])?;
    if database(parts.path.trim_matches('/'))? != 0 {
        return Err(refused("a cluster has database 0 only"));
    }
    Ok(RedisOptions {
        place: Place::Cluster(hosts_of(parts.hosts, REDIS_PORT)?),
        tls: flag(&parts.query, "tls")?,
        login: parts.login,
        database: 0,
    })
}

fn hosts_of(hosts: &str, port: u16) -> Result<Vec<Host>> {
    hosts.split(',').map(|host| host_of(host, port)).collect()
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`.
fn host_of(text: &str, default_port: u16) -> Result<Host> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, after)) => (name, after),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
        None => port.is_empty().then_some(default_port),
    };
    let spoilt = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '%');
    match port {
        Some(port) if !name.is_empty() && !name.contains(spoilt) => Ok(Host {
            name: name.to_owned(),
            port,
        }),
        _ => Err(refused(
            "a host is a name or an address, an IPv6 one in brackets, and optionally `:` and a port from 1 to 65535",
        )),
    }
}

fn database(text: &str) -> Result<u32> {
    match text {
        "" => Ok(0),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text
            .parse()
            .map_err(|_| refused(&format!("database {text} is too large a number"))),
        text => Err(refused(&format!(
            "the database is a number, as in `/7`, and not `{text}`"
        ))),
    }
}

fn only_parameters(query: &[(String, String)], allowed: &[&str]) -> Result<()> {
    for (index, (name, _)) in query.iter().enumerate() {
        if !allowed.contains(&name.as_str()) {
            let allowed = match allowed {
                [] => "here there are none".to_owned(),
                names => format!("allowed are `{}`", names.join("`, `")),
            };
            return Err(refused(&format!(
                "it has the parameter `{name}`; {allowed}"
            )));
        }
        if query[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(refused(&format!("it has the parameter `{name}` twice")));
        }
    }
    Ok(())
}

fn value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut named = query.iter().filter(|(given, _)| given == name);
    named.next().map(|(_, value)| value.as_str())
}

fn flag(query: &[(String, String)], name: &str) -> Result<bool> {
    match value(query, name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(refused(&format!(
            "the parameter `{name}` is `true` or `false`"
        ))),
    }
}

fn decode(text: &str, what: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        let Some(byte) = byte else {
            let why =
                format!("{what} holds a `%` without two hexadecimal digits; write `%25` for it");
            return Err(refused(&why));
        };
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| refused(&format!("{what} is not valid UTF-8")))
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("no DSN of the Redis driver: {why}"),
    )
}
