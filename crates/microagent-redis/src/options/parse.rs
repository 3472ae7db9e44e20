//! Reads a Redis DSN: which parts of a DSN the driver accepts, and what they mean to it.

use microagent_core::{
    Result,
    driver::{Dsn, DsnError, Host, dsn_error},
};

use super::{Login, Place, RedisOptions};

pub(crate) const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

const SCHEMES: [&str; 5] = [
    "redis://",
    "rediss://",
    "redis+unix://",
    "redis+sentinel://",
    "redis+cluster://",
];

pub(super) fn parse(dsn: &str) -> Result<RedisOptions> {
    read(dsn).map_err(|error| dsn_error("Redis", &error))
}

fn read(text: &str) -> Result<RedisOptions, DsnError> {
    if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        let schemes = SCHEMES.map(|scheme| format!("`{scheme}`")).join(", ");
        return Err(DsnError::new(format!(
            "unknown scheme: expected one of {schemes}"
        )));
    }
    let dsn = Dsn::parse(text)?;
    if dsn.user().is_some() && dsn.password().is_none() {
        return Err(DsnError::new(
            "user name without a password: expected `USER:PASSWORD@` or `:PASSWORD@`",
        ));
    }
    match dsn.scheme() {
        "redis+unix" => unix(&dsn),
        "redis+sentinel" => sentinel(&dsn),
        "redis+cluster" => cluster(&dsn),
        scheme => tcp(&dsn, scheme == "rediss"),
    }
}

fn tcp(dsn: &Dsn, tls: bool) -> Result<RedisOptions, DsnError> {
    dsn.check_options(&[])?;
    let host = match dsn.hosts() {
        [] => Host::new("localhost"),
        [host] => host.clone(),
        _ => {
            return Err(DsnError::new(
                "several hosts: they are supported by `redis+sentinel://` and `redis+cluster://` only",
            ));
        }
    };
    Ok(RedisOptions {
        place: Place::Tcp(host.or_port(REDIS_PORT)),
        tls,
        login: login(dsn),
        database: database(dsn.path().trim_matches('/'))?,
    })
}

fn unix(dsn: &Dsn) -> Result<RedisOptions, DsnError> {
    dsn.check_options(&["db"])?;
    if !dsn.hosts().is_empty() || dsn.path().len() < 2 {
        return Err(DsnError::new(
            "invalid socket: expected its absolute path, as in `redis+unix:///run/redis.sock`",
        ));
    }
    Ok(RedisOptions {
        place: Place::Unix(dsn.path().into()),
        tls: false,
        login: login(dsn),
        database: database(dsn.option("db").unwrap_or_default())?,
    })
}

fn sentinel(dsn: &Dsn) -> Result<RedisOptions, DsnError> {
    dsn.check_options(&["tls", "sentinel_user", "sentinel_password"])?;
    let path = dsn.path().trim_matches('/');
    let (master, number) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(DsnError::new(
            "missing master: expected `redis+sentinel://HOST,HOST/MASTER/DB`",
        ));
    }
    let of_sentinels = Login {
        user: dsn.option("sentinel_user").map(str::to_owned),
        password: dsn.option("sentinel_password").map(str::to_owned),
    };
    if of_sentinels.user.is_some() && of_sentinels.password.is_none() {
        return Err(DsnError::new(
            "option `sentinel_user` without `sentinel_password`",
        ));
    }
    let place = Place::Sentinel {
        sentinels: hosts(dsn, SENTINEL_PORT)?,
        master: master.to_owned(),
        login: of_sentinels,
    };
    Ok(RedisOptions {
        place,
        tls: dsn.flag("tls")?.unwrap_or(false),
        login: login(dsn),
        database: database(number)?,
    })
}

fn cluster(dsn: &Dsn) -> Result<RedisOptions, DsnError> {
    dsn.check_options(&["tls"])?;
    if database(dsn.path().trim_matches('/'))? != 0 {
        return Err(DsnError::new(
            "invalid database: a cluster has database 0 only",
        ));
    }
    Ok(RedisOptions {
        place: Place::Cluster(hosts(dsn, REDIS_PORT)?),
        tls: dsn.flag("tls")?.unwrap_or(false),
        login: login(dsn),
        database: 0,
    })
}

/// At least one host.
fn hosts(dsn: &Dsn, default_port: u16) -> Result<Vec<Host>, DsnError> {
    if dsn.hosts().is_empty() {
        return Err(DsnError::new(
            "missing host: expected `HOST[:PORT]`, or several with commas",
        ));
    }
    let hosts = dsn.hosts().iter().cloned();
    Ok(hosts.map(|host| host.or_port(default_port)).collect())
}

fn login(dsn: &Dsn) -> Login {
    Login {
        user: dsn.user().map(str::to_owned),
        password: dsn.password().map(str::to_owned),
    }
}

fn database(text: &str) -> Result<u32, DsnError> {
    match text {
        "" => Ok(0),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map_err(|_| {
            DsnError::new(format!(
                "invalid database `{text}`: the number is too large"
            ))
        }),
        text => Err(DsnError::new(format!(
            "invalid database `{text}`: expected a number, as in `/7`"
        ))),
    }
}
