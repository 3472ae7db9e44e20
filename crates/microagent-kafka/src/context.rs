//! The log lines and errors of the client.

use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
};
use tracing::debug;

/// A context for requests, which return their errors.
#[derive(Debug)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Writes a line of the client to the log. The client repeats itself while a server is away, and the driver says that, too.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    debug!(?level, facility, text, "the kafka client logs");
}

/// Writes an error of the client's connections to the log.
pub(crate) fn report(error: &KafkaError, reason: &str) {
    debug!(%error, reason, "the kafka client reports an error");
}
