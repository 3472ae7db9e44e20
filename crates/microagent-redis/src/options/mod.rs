//! The options of a Redis DSN: the address of the server, the credentials and the database.
//!
//! Parsing opens no connection.

pub(crate) mod parse;

use std::{fmt, path::PathBuf};

use microagent_core::{Result, driver::Host};

/// The address of a Redis, and the login.
///
/// | DSN | meaning |
/// |---|---|
/// | `redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]` | one server over TCP; without a host `localhost`, without a port 6379 |
/// | `rediss://…` | the same over TLS, checked against the certificates of the system or of `SSL_CERT_FILE` |
/// | `redis+unix://[USER[:PASSWORD]@]/PATH[?db=DB]` | one server over a Unix socket |
/// | `redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DB]` | the primary that the sentinels name, port 26379; `?tls=true`, and `?sentinel_user=` and `?sentinel_password=` when the sentinels ask for a login of their own |
/// | `redis+cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]` | a cluster, found through these nodes; `?tls=true` |
///
/// User names, passwords and paths may be percent-encoded; `/`, `?`, `#` and `%` in them must be.
/// `Debug`, [`address`](Self::address) and errors hold no user name and no password.
///
/// ```
/// use microagent_redis::RedisOptions;
///
/// let options = RedisOptions::parse("redis://shop:s3cret@db.example/7")?;
/// assert_eq!(options.address(), "redis://db.example:6379/7");
/// assert!(!format!("{options:?}").contains("s3cret"));
///
/// let refused = RedisOptions::parse("redis://localhost/7?timeout=5").unwrap_err();
/// assert!(refused.to_string().contains("`timeout`"));
/// # Ok::<(), microagent_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    pub(crate) place: Place,
    pub(crate) tls: bool,
    pub(crate) login: Login,
    pub(crate) database: u32,
}

/// The kind and the address of a Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(Host),
    Unix(PathBuf),
    Sentinel {
        sentinels: Vec<Host>,
        master: String,
        login: Login,
    },
    Cluster(Vec<Host>),
}

/// An ACL user and a password; both absent for a server that asks for none.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl RedisOptions {
    /// Reads a DSN.
    ///
    /// # Errors
    /// [`Configuration`](microagent_core::ErrorKind::Configuration) that names the part, what is wrong with it and what is
    /// allowed. It quotes nothing that may be a password.
    pub fn parse(dsn: &str) -> Result<Self> {
        parse::parse(dsn)
    }

    /// The DSN without credentials, with the ports and the database written out.
    #[must_use]
    pub fn address(&self) -> String {
        self.to_string()
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }
}

impl fmt::Display for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, tls) = (self.database, if self.tls { "?tls=true" } else { "" });
        match &self.place {
            Place::Tcp(host) if self.tls => write!(f, "rediss://{host}/{database}"),
            Place::Tcp(host) => write!(f, "redis://{host}/{database}"),
            Place::Unix(path) => write!(f, "redis+unix://{}?db={database}", path.display()),
            Place::Sentinel {
                sentinels, master, ..
            } => {
                let sentinels = listed(sentinels);
                write!(f, "redis+sentinel://{sentinels}/{master}/{database}{tls}")
            }
            Place::Cluster(nodes) => write!(f, "redis+cluster://{}{tls}", listed(nodes)),
        }
    }
}

fn listed(hosts: &[Host]) -> String {
    let hosts: Vec<_> = hosts.iter().map(Host::to_string).collect();
    hosts.join(",")
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisOptions({self})")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.password {
            Some(_) => "Login(with a password)",
            None => "Login(without a password)",
        })
    }
}

#[cfg(test)]
mod tests;
