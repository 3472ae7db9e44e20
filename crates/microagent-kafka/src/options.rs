//! A Kafka DSN: the servers, the group, the partitions of new queues, and options of the client.

use std::{fmt, ops::RangeInclusive, time::Duration};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::{Dsn, DsnError, Host, dsn_error},
};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

const PORT: u16 = 9092;

const KNOWN: [&str; 4] = ["group", "partitions", "replication", "timeout"];

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
/// `kafka://[HOST[:PORT][,HOST[:PORT]…]][?OPTION=VALUE[&OPTION=VALUE…]]`
///
/// | part | default |
/// |---|---|
/// | `HOST` | `localhost` |
/// | `PORT` | 9092 |
/// | `group` | `microagent`; the consumers of a queue are the group `GROUP.QUEUE` |
/// | `partitions`, `replication` | those of the server, for queues that the driver creates |
/// | `timeout` | `10` (seconds), from `1` to `3600`: until a message is stored, and for any other answer |
/// | `x.NAME` | any option of librdkafka, such as `x.max.poll.interval.ms=60000` |
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    hosts: Vec<Host>,
    group: String,
    pub(crate) partitions: Option<i32>,
    pub(crate) replication: Option<i32>,
    /// The longest time until a message is stored, and for any other answer.
    pub(crate) timeout: Duration,
    client: Vec<(String, String)>,
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
            .set_log_level(RDKafkaLogLevel::Debug);
        config
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
            .set("fetch.wait.max.ms", "100");
        self.with_own(config)
    }

    fn servers(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }
}

fn read(text: &str) -> Result<KafkaOptions, DsnError> {
    if Dsn::scheme_of(text) != Some("kafka") {
        return Err(DsnError::new("unknown scheme: expected `kafka://`"));
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
    if dsn.user().is_some() || dsn.password().is_some() {
        return Err(DsnError::new("a login is not supported: it needs TLS"));
    }
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

impl fmt::Display for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}", self.servers())
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
    fn other_forms_are_refused_with_a_remedy() {
        let refused = [
            ("amqp://localhost", "expected `kafka://`"),
            ("kafka://localhost?grup=shop", "did you mean `group`?"),
            ("kafka://localhost?partitions=0", "partitions"),
            ("kafka://localhost?timeout=0", "timeout"),
            ("kafka://localhost/topic", "expected none"),
            ("kafka://shop:s3cret@localhost", "login"),
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
