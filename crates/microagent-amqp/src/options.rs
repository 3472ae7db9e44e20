//! An AMQP DSN: where the server is, the login, the virtual host, and how queues are declared.

use std::{fmt, time::Duration};

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use microagent_core::{
    Result,
    driver::{Dsn, DsnError, Host, dsn_error},
};

use crate::broker::QueueKind;

/// The port without TLS, and the port with it.
const PORTS: (u16, u16) = (5672, 5671);

/// The login of a new RabbitMQ, which it accepts from its own machine only.
const GUEST: &str = "guest";

const KNOWN: [&str; 3] = ["durable", "heartbeat", "queue_type"];

/// The address of a RabbitMQ, the login, and the properties of new queues.
///
/// `amqp://[USER[:PASSWORD]@][HOST[:PORT]][/VHOST][?OPTION=VALUE[&OPTION=VALUE…]]`. `amqps://` is the same over TLS, checked against
/// the certificates of the system or of `SSL_CERT_FILE`; it needs the feature `tls`.
///
/// | part | default |
/// |---|---|
/// | `USER`, `PASSWORD` | `guest` |
/// | `HOST` | `localhost` |
/// | `PORT` | 5672, with TLS 5671 |
/// | `VHOST` | `/`, also for an empty path; a slash in a name is written `%2F` |
/// | `durable` | `true`: queues that the driver creates survive a restart of the server |
/// | `queue_type` | `classic`, or `quorum` |
/// | `heartbeat` | `10` (seconds), from `1` to `600` |
///
/// `Debug`, [`address`](Self::address) and errors contain no user name and no password.
///
/// ```
/// use microagent_amqp::AmqpOptions;
///
/// let options = AmqpOptions::parse("amqp://shop:s3cret@mq.example/orders?queue_type=quorum")?;
/// assert_eq!(options.address(), "amqp://mq.example:5672/orders");
/// assert!(!format!("{options:?}").contains("s3cret"));
///
/// let refused = AmqpOptions::parse("amqp://localhost/?durible=false").unwrap_err();
/// assert!(refused.to_string().contains("did you mean `durable`?"));
/// # Ok::<(), microagent_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpOptions {
    pub(crate) tls: bool,
    host: Host,
    user: String,
    password: String,
    vhost: String,
    heartbeat: Duration,
    pub(crate) queues: QueueKind,
}

impl AmqpOptions {
    /// Reads a DSN.
    ///
    /// # Errors
    /// [`Configuration`](microagent_core::ErrorKind::Configuration) with the part, the problem and what is expected. It
    /// quotes nothing that may be a password.
    pub fn parse(dsn: &str) -> Result<Self> {
        read(dsn).map_err(|error| dsn_error("AMQP", &error))
    }

    /// Returns the DSN without credentials, with the port and the virtual host written out.
    #[must_use]
    pub fn address(&self) -> String {
        self.to_string()
    }

    /// Returns the same in the client's type. Its own reader takes `amqp://localhost/` for a virtual host without a
    /// name, and `[::1]` for `localhost`.
    pub(crate) fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host: self.host.name.clone(),
                port: self.host.port.unwrap_or(port(self.tls)),
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: u16::try_from(self.heartbeat.as_secs()).ok(),
                ..AMQPQueryString::default()
            },
        }
    }
}

fn read(text: &str) -> Result<AmqpOptions, DsnError> {
    let tls = match Dsn::scheme_of(text) {
        Some("amqp") => false,
        Some("amqps") => true,
        _ => {
            return Err(DsnError::new(
                "unknown scheme: expected `amqp://` or `amqps://`",
            ));
        }
    };
    let dsn = Dsn::parse(text)?;
    dsn.check_options(&KNOWN)?;
    Ok(AmqpOptions {
        tls,
        host: host(&dsn)?.or_port(port(tls)),
        user: dsn.user().unwrap_or(GUEST).to_owned(),
        password: password(&dsn)?.to_owned(),
        vhost: vhost(&dsn).to_owned(),
        heartbeat: heartbeat(&dsn)?,
        queues: queues(&dsn)?,
    })
}

fn port(tls: bool) -> u16 {
    if tls { PORTS.1 } else { PORTS.0 }
}

fn host(dsn: &Dsn) -> Result<Host, DsnError> {
    match dsn.hosts() {
        [] => Ok(Host::new("localhost")),
        [host] => Ok(host.clone()),
        _ => Err(DsnError::new(
            "several hosts: expected one, such as the address of a load balancer",
        )),
    }
}

fn password(dsn: &Dsn) -> Result<&str, DsnError> {
    match (dsn.user(), dsn.password()) {
        (_, Some(password)) => Ok(password),
        (None, None) => Ok(GUEST),
        (Some(_), None) => Err(DsnError::new(
            "user name without a password: expected `USER:PASSWORD@`",
        )),
    }
}

/// The path without its slash. Python and the documentation write the virtual host `/` as an empty path.
fn vhost(dsn: &Dsn) -> &str {
    match dsn.path().strip_prefix('/') {
        None | Some("") => "/",
        Some(vhost) => vhost,
    }
}

fn heartbeat(dsn: &Dsn) -> Result<Duration, DsnError> {
    let seconds = dsn.number("heartbeat", 1, 600)?;
    Ok(Duration::from_secs(seconds.unwrap_or(10)))
}

fn queues(dsn: &Dsn) -> Result<QueueKind, DsnError> {
    let durable = dsn.flag("durable")?.unwrap_or(true);
    let quorum = match dsn.option("queue_type") {
        None | Some("classic") => false,
        Some("quorum") => true,
        Some(_) => {
            return Err(DsnError::new(
                "invalid value of the option `queue_type`: expected `classic` or `quorum`",
            ));
        }
    };
    if quorum && !durable {
        return Err(DsnError::new(
            "`queue_type=quorum` with `durable=false`: quorum queues are always durable",
        ));
    }
    Ok(QueueKind { durable, quorum })
}

impl fmt::Display for AmqpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vhost = if self.vhost == "/" { "" } else { &self.vhost };
        let scheme = if self.tls { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}/{vhost}", self.host)
    }
}

impl fmt::Debug for AmqpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmqpOptions({self})")
    }
}

#[cfg(test)]
mod tests {
    use microagent_core::ErrorKind;

    use super::*;

    fn uri(dsn: &str) -> AMQPUri {
        AmqpOptions::parse(dsn).unwrap().uri()
    }

    #[test]
    fn the_documented_forms_are_read() {
        let forms = [
            "amqp://guest:guest@localhost:5672/",
            "amqp://guest:guest@localhost:5672",
            "amqp://localhost/%2F",
            "amqp://",
        ];
        for form in forms {
            let options = AmqpOptions::parse(form).unwrap();
            assert_eq!(options.address(), "amqp://localhost:5672/", "{form}");
            let uri = options.uri();
            assert_eq!(uri.vhost, "/", "{form}");
            assert_eq!(uri.authority.userinfo.username, "guest", "{form}");
            assert_eq!(uri.authority.userinfo.password, "guest", "{form}");
        }
    }

    #[test]
    fn tls_has_a_scheme_and_a_port_of_its_own() {
        let options = AmqpOptions::parse("amqps://u:p@mq/orders").unwrap();
        assert_eq!(options.address(), "amqps://mq:5671/orders");
        let uri = options.uri();
        assert_eq!((uri.scheme, uri.authority.port), (AMQPScheme::AMQPS, 5671));
        let options = AmqpOptions::parse("amqps://mq:9/").unwrap();
        assert_eq!(options.address(), "amqps://mq:9/");
    }

    #[test]
    fn hosts_logins_and_virtual_hosts_are_decoded() {
        let uri = uri("amqp://sh%40p:s%2Fcret@[::1]:5673/a%2Fb?heartbeat=20");
        assert_eq!(
            (uri.authority.host.as_str(), uri.authority.port),
            ("::1", 5673)
        );
        assert_eq!(uri.authority.userinfo.username, "sh@p");
        assert_eq!(uri.authority.userinfo.password, "s/cret");
        assert_eq!((uri.vhost.as_str(), uri.query.heartbeat), ("a/b", Some(20)));
    }

    #[test]
    fn problems_of_a_dsn_are_named_without_the_login() {
        let cases = [
            ("mqtt://mq", "`amqp://`"),
            ("amqp://s3cret@mq", "without a password"),
            ("amqp://u:s3cret@one,two/", "several hosts"),
            ("amqp://u:s3cret@mq/?heartbeat=0", "from 1 to 600"),
            ("amqp://u:s3cret@mq/?durable=yes", "`durable`"),
            ("amqp://u:s3cret@mq/?queue_type=stream", "`quorum`"),
            (
                "amqp://u:s3cret@mq/?queue_type=quorum&durable=false",
                "always durable",
            ),
            ("amqp://u:s3cret@mq/?prefetch=9", "`prefetch`"),
        ];
        for (dsn, part) in cases {
            let error = AmqpOptions::parse(dsn).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{dsn}");
            let text = error.to_string();
            assert!(text.contains(part) && !text.contains("s3cret"), "{text}");
        }
    }
}
