//! A Kafka DSN: the servers, the group, the partitions of new queues, and options of the client.

use std::{fmt, ops::RangeInclusive, time::Duration};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::{Dsn, DsnError, Host, dsn_error},
};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

const PORT: u16 = 9092;

const KNOWN: [&str; 5] = ["group", "mechanism", "partitions", "replication", "timeout"];

/// The mechanisms of logins, and whether they need OpenSSL.
const MECHANISMS: [(&str, bool); 3] = [
    ("PLAIN", false),
    ("SCRAM-SHA-256", true),
    ("SCRAM-SHA-512", true),
];

/// True if the client is built with OpenSSL.
const HAS_OPENSSL: bool = cfg!(feature = "ssl");

/// The longest time for an answer, and what may be chosen.
const TIMEOUT: (Duration, RangeInclusive<Duration>) = (
    Duration::from_secs(10),
    Duration::from_secs(1)..=Duration::from_secs(3600),
);

/// The prefix of options that are passed to the client.
const CLIENT: &str = "x.";

/// The largest record that the client sends, in bytes: its greatest value. Messages of agents are smaller. Dead letters and
/// requeued messages may be those of other programs, and the server decides about them.
const LARGEST_RECORD: &str = "1000000000";

/// The servers, the group, and the properties of new queues.
///
/// `kafka://[USER:PASSWORD@][HOST[:PORT][,HOST[:PORT]…]][?OPTION=VALUE[&OPTION=VALUE…]]`. `kafkas://` is the same over TLS, checked against the
/// certificates of the system or of `SSL_CERT_FILE`; it needs the feature `ssl`.
///
/// | part | default |
/// |---|---|
/// | `USER`, `PASSWORD` | no login |
/// | `HOST` | `localhost` |
/// | `PORT` | 9092 |
/// | `group` | `microagent`; the consumers of a queue are the group `GROUP.QUEUE` |
/// | `mechanism` | of the login: `PLAIN`; or `SCRAM-SHA-256` or `SCRAM-SHA-512`, which need the feature `ssl` |
/// | `partitions`, `replication` | those of the server, for queues that the driver creates |
/// | `timeout` | `10` (seconds), from `1` to `3600`: until a message is stored, and for any other answer |
/// | `x.NAME` | any option of librdkafka, such as `x.max.poll.interval.ms=60000` |
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    tls: bool,
    login: Option<Login>,
    hosts: Vec<Host>,
    group: String,
    pub(crate) partitions: Option<i32>,
    pub(crate) replication: Option<i32>,
    /// The longest time until a message is stored, and for any other answer.
    pub(crate) timeout: Duration,
    client: Vec<(String, String)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Login {
    user: String,
    password: String,
    mechanism: &'static str,
}

impl KafkaOptions {
    /// Reads a DSN.
    ///
    /// # Errors
    /// [`Configuration`](microagent_core::ErrorKind::Configuration) with the part, the problem and what is expected.
    pub fn parse(dsn: &str) -> Result<Self> {
        let options = read(dsn).map_err(|error| dsn_error("Kafka", &error))?;
        let checked = options.consumer("check").create_native_config();
        checked.map_err(|error| {
            let text = format!("invalid Kafka DSN: {error}");
            Error::new(ErrorKind::Configuration, text)
        })?;
        Ok(options)
    }

    /// Returns the DSN without options, with the ports written out.
    #[must_use]
    pub fn address(&self) -> String {
        self.to_string()
    }

    /// Returns the group of the consumers of a queue.
    pub(crate) fn group_of(&self, queue: &str) -> String {
        format!("{}.{queue}", self.group)
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers())
            .set("client.id", "microagent")
            // A queue is declared; a misspelt one is an error.
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.max.ms", "3000")
            .set("socket.nagle.disable", "true")
            // The client logs much only with `x.debug=…`.
            .set_log_level(RDKafkaLogLevel::Debug)
            .set("security.protocol", self.protocol());
        if let Some(login) = &self.login {
            config
                .set("sasl.mechanisms", login.mechanism)
                .set("sasl.username", &login.user)
                .set("sasl.password", &login.password);
        }
        config
    }

    fn protocol(&self) -> &'static str {
        match (self.tls, self.login.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }

    fn with_own(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.client {
            config.set(name, value);
        }
        config
    }

    pub(crate) fn admin(&self) -> ClientConfig {
        self.with_own(self.base())
    }

    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.timeout.as_millis().to_string())
            .set("message.max.bytes", LARGEST_RECORD)
            .set("topic.metadata.propagation.max.ms", "2000");
        self.with_own(config)
    }

    pub(crate) fn consumer(&self, queue: &str) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", self.group_of(queue))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            // After a long outage the server waits so long for the members that it knew before.
            .set("session.timeout.ms", "8000")
            .set("heartbeat.interval.ms", "1000")
            .set("fetch.wait.max.ms", "100")
            // A fast consumer uses what the client has read in less than its default, 1 s.
            .set("fetch.queue.backoff.ms", "50");
        self.with_own(config)
    }

    /// Returns the options of a consumer that joins the group of a queue, and the name that no other member has, unless the user has
    /// named the clients.
    pub(crate) fn member(&self, queue: &str) -> (ClientConfig, Option<String>) {
        let mut config = self.consumer(queue);
        if self.client.iter().any(|(name, _)| name == "client.id") {
            return (config, None);
        }
        let name = format!("microagent-{:016x}", fastrand::u64(..));
        config.set("client.id", &name);
        (config, Some(name))
    }

    fn servers(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }
}

fn read(text: &str) -> Result<KafkaOptions, DsnError> {
    let tls = match Dsn::scheme_of(text) {
        Some("kafka") => false,
        Some("kafkas") => true,
        _ => {
            return Err(DsnError::new(
                "unknown scheme: expected `kafka://` or `kafkas://`",
            ));
        }
    };
    if tls {
        check_openssl("TLS")?;
    }
    let dsn = Dsn::parse(text)?;
    let of_client = |name: &str| name.starts_with(CLIENT);
    let mut known: Vec<&str> = KNOWN.to_vec();
    known.extend(
        dsn.options()
            .map(|(name, _)| name)
            .filter(|name| of_client(name)),
    );
    dsn.check_options(&known)?;
    if !matches!(dsn.path(), "" | "/") {
        return Err(DsnError::new(
            "invalid path: expected none, as the topic is the name of the queue",
        ));
    }
    let hosts: Vec<Host> = match dsn.hosts() {
        [] => vec![Host::new("localhost")],
        hosts => hosts.to_vec(),
    };
    let timeout = dsn.duration("timeout")?.unwrap_or(TIMEOUT.0);
    if !TIMEOUT.1.contains(&timeout) {
        return Err(DsnError::new(
            "invalid value of the option `timeout`: expected a duration from `1` to `3600` seconds",
        ));
    }
    let client = dsn.options().filter(|(name, _)| of_client(name));
    Ok(KafkaOptions {
        tls,
        login: login(&dsn)?,
        hosts: hosts.into_iter().map(|host| host.or_port(PORT)).collect(),
        group: dsn.option("group").unwrap_or("microagent").to_owned(),
        partitions: dsn.number("partitions", 1, 100_000)?,
        replication: dsn.number("replication", 1, 1_000)?,
        timeout,
        client: client
            .map(|(name, value)| (name[CLIENT.len()..].to_owned(), value.to_owned()))
            .collect(),
    })
}

fn login(dsn: &Dsn) -> Result<Option<Login>, DsnError> {
    let chosen = dsn.option("mechanism");
    let (user, password) = match (dsn.user(), dsn.password()) {
        (Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
        (None, None) if chosen.is_some() => {
            return Err(DsnError::new(
                "the option `mechanism` without a login: expected `USER:PASSWORD@`",
            ));
        }
        (None, None) => return Ok(None),
        _ => {
            return Err(DsnError::new("incomplete login: expected `USER:PASSWORD@`"));
        }
    };
    let wanted = chosen.unwrap_or("PLAIN");
    let known = MECHANISMS.into_iter().find(|(name, _)| *name == wanted);
    let Some((mechanism, needs_openssl)) = known else {
        return Err(DsnError::new(
            "invalid value of the option `mechanism`: expected `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`",
        ));
    };
    if needs_openssl {
        check_openssl(mechanism)?;
    }
    Ok(Some(Login {
        user,
        password,
        mechanism,
    }))
}

fn check_openssl(what: &str) -> Result<(), DsnError> {
    if HAS_OPENSSL {
        return Ok(());
    }
    Err(DsnError::new(format!(
        "{what} is not supported by this program: it was built without the feature `kafka-ssl`"
    )))
}

impl fmt::Display for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "kafkas" } else { "kafka" };
        write!(f, "{scheme}://{}", self.servers())
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaOptions({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_forms_are_read() {
        let options =
            KafkaOptions::parse("kafka://a,b:9093?group=shop&partitions=6&x.fetch.max.bytes=1000")
                .unwrap();
        assert_eq!(options.address(), "kafka://a:9092,b:9093");
        assert_eq!(options.group_of("mailer"), "shop.mailer");
        assert_eq!((options.partitions, options.replication), (Some(6), None));
        assert_eq!(
            options.consumer("mailer").get("fetch.max.bytes"),
            Some("1000")
        );
        assert_eq!(
            KafkaOptions::parse("kafka://").unwrap().address(),
            "kafka://localhost:9092"
        );
        let patient = KafkaOptions::parse("kafka://?timeout=60").unwrap();
        assert_eq!(patient.producer().get("message.timeout.ms"), Some("60000"));
    }

    #[test]
    fn each_member_has_a_name_of_its_own_unless_the_user_names_it() {
        let member = |dsn: &str| {
            let (config, name) = KafkaOptions::parse(dsn).unwrap().member("mailer");
            (config.get("client.id").map(str::to_owned), name)
        };
        let (sent, name) = member("kafka://");
        assert!(name.is_some() && sent == name, "{sent:?}, {name:?}");
        assert_ne!(member("kafka://").1, name);
        let chosen = Some("shop".to_owned());
        assert_eq!(member("kafka://?x.client.id=shop"), (chosen, None));
    }

    #[test]
    fn a_login_is_sent_as_its_mechanism_says() {
        let options = KafkaOptions::parse("kafka://shop:s3%40cret@localhost").unwrap();
        let config = options.producer();
        let set = |name| config.get(name);
        assert_eq!(set("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(set("sasl.mechanisms"), Some("PLAIN"));
        assert_eq!(
            (set("sasl.username"), set("sasl.password")),
            (Some("shop"), Some("s3@cret"))
        );
        assert_eq!(options.address(), "kafka://localhost:9092");
        assert!(!format!("{options:?}").contains("cret"), "{options:?}");
    }

    #[test]
    fn tls_and_scram_need_openssl() {
        for (dsn, protocol) in [
            ("kafkas://localhost", "ssl"),
            ("kafkas://shop:s3cret@localhost", "sasl_ssl"),
            (
                "kafka://shop:s3cret@localhost?mechanism=SCRAM-SHA-256",
                "sasl_plaintext",
            ),
        ] {
            let parsed = KafkaOptions::parse(dsn);
            assert_eq!(parsed.is_ok(), HAS_OPENSSL, "{parsed:?}");
            match parsed {
                Ok(options) => {
                    let config = options.consumer("mailer");
                    assert_eq!(config.get("security.protocol"), Some(protocol));
                    assert!(dsn.starts_with(options.address().split("//").next().unwrap()));
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Configuration);
                    let text = error.to_string();
                    assert!(text.contains("feature `kafka-ssl`"), "{text}");
                }
            }
        }
    }

    #[test]
    fn other_forms_are_refused_with_a_remedy() {
        let refused = [
            ("amqp://localhost", "expected `kafka://`"),
            ("kafka://localhost?grup=shop", "did you mean `group`?"),
            ("kafka://localhost?partitions=0", "partitions"),
            ("kafka://localhost?timeout=0", "timeout"),
            ("kafka://localhost/topic", "expected none"),
            ("kafka://shop@localhost", "`USER:PASSWORD@`"),
            ("kafka://:s3cret@localhost", "`USER:PASSWORD@`"),
            ("kafka://localhost?mechanism=PLAIN", "without a login"),
            (
                "kafka://shop:s3cret@localhost?mechanism=PLAYN",
                "expected `PLAIN`, `SCRAM-SHA-256` or",
            ),
            ("kafka://localhost?x.no.such.option=1", "no.such.option"),
        ];
        for (dsn, part) in refused {
            let error = KafkaOptions::parse(dsn).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{dsn}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
