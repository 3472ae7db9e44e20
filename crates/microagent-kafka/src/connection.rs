//! The state of the connection to the servers.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::{ConnectionRecord, ConnectionState, Outage, lock},
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::{sync::Notify, time::sleep};
use tracing::{info, warn};

use crate::error::{closed, error_of};

/// The state of the connection. The client reports that it has lost all servers, but not that it has reached one again, so
/// [`keep`] asks until one answers.
#[derive(Default)]
pub(crate) struct Link {
    record: ConnectionRecord,
    lost: Notify,
    /// Why no server is reached, as the client reported it: a request only says that it had no answer.
    cause: Mutex<Option<Error>>,
}

impl Link {
    pub(crate) fn state(&self) -> ConnectionState {
        self.record.state()
    }

    /// Takes an error of the client, and the text that explains it.
    pub(crate) fn report(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                self.record.down(error_of(error));
                self.lost.notify_one();
            }
            Some(
                RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::SSL,
            ) => {
                *lock(&self.cause) = Some(error_of(error).context(reason));
            }
            _ => {}
        }
    }

    /// Adds the address, and the reason if it is known, to an error that says that no server answers.
    pub(crate) fn explain(&self, error: Error, address: &str) -> Error {
        if error.kind() != ErrorKind::Unavailable {
            return error;
        }
        let cause = lock(&self.cause).as_ref().map(Error::without_source);
        let error = cause.filter(|_| !self.state().up).unwrap_or(error);
        error.context(format_args!("cannot reach `{address}`"))
    }

    fn up(&self) {
        *lock(&self.cause) = None;
        self.record.up();
    }

    /// Registers that the broker was closed.
    pub(crate) fn close(&self) {
        self.record.down(closed());
    }
}

/// Keeps the state of a connection: asks until a server answers, and again after each loss. It does not end.
pub(crate) async fn keep<Asking: Future<Output = Result<()>>>(
    link: Arc<Link>,
    address: String,
    ask: impl Fn() -> Asking,
) {
    let (mut outage, mut was_up) = (Outage::default(), false);
    loop {
        while let Err(error) = ask().await {
            let error = link.explain(error, &address);
            link.record.down(&error);
            if outage.is_news(&error) {
                let event = if was_up {
                    "connection lost; reconnecting"
                } else {
                    "cannot connect; will keep retrying"
                };
                warn!(address, %error, "{event}");
            }
            sleep(outage.pause()).await;
        }
        link.up();
        if outage.end() {
            info!(address, "connected again");
        }
        was_up = true;
        link.lost.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    const ADDRESS: &str = "kafka://nowhere:9092";

    fn no_answer() -> Error {
        error_of(&KafkaError::MetadataFetch(Code::BrokerTransportFailure))
    }

    #[test]
    fn an_error_without_an_answer_names_the_address() {
        let link = Link::default();
        let explained = link.explain(no_answer(), ADDRESS);
        assert_eq!(explained.kind(), ErrorKind::Unavailable);
        let text = explained.to_string();
        assert!(
            text.contains("cannot reach `kafka://nowhere:9092`: kafka:"),
            "{text}"
        );
        let other = error_of(&KafkaError::AdminOp(Code::InvalidTopic));
        assert!(!link.explain(other, ADDRESS).to_string().contains("nowhere"));
    }

    #[test]
    fn a_refused_login_is_the_reason_until_a_server_answers() {
        let link = Link::default();
        let refused = KafkaError::Global(Code::Authentication);
        link.report(&refused, "SASL authentication failed");
        let explained = link.explain(no_answer(), ADDRESS);
        assert_eq!(explained.kind(), ErrorKind::Refused);
        let text = explained.to_string();
        assert!(text.contains("SASL authentication failed"), "{text}");
        link.up();
        assert_eq!(
            link.explain(no_answer(), ADDRESS).kind(),
            ErrorKind::Unavailable
        );
    }
}
