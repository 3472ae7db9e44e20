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

use crate::error::{closed, error_of, is_final};

/// The state of the connection. The client reports that it has lost all servers, but not that it has reached one again, so
/// [`keep`] asks until one answers.
#[derive(Default)]
pub(crate) struct Link {
    record: ConnectionRecord,
    lost: Notify,
    /// Why no server is reached, as the client reported it: a request only says that it had no answer.
    cause: Mutex<Option<Error>>,
    refused: Notify,
}

impl Link {
    pub(crate) fn state(&self) -> ConnectionState {
        self.record.state()
    }

    /// Takes an error of the client, and the text that explains it.
    pub(crate) fn report(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let cause = lock(&self.cause).as_ref().map(Error::without_source);
                self.record.down(cause.unwrap_or_else(|| error_of(error)));
                self.lost.notify_one();
                // A refusal that was reported before counts now.
                self.refused.notify_waiters();
            }
            Some(
                RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::SSL,
            ) => {
                let cause = error_of(error).context(reason);
                if !self.state().up {
                    self.record.down(&cause);
                }
                *lock(&self.cause) = Some(cause);
                self.refused.notify_waiters();
            }
            _ => {}
        }
    }

    /// Runs a request, and ends it as soon as the server has refused the login. The client would wait until the time of the
    /// request is over: it tries again, as a login may be accepted later.
    pub(crate) async fn request<T>(
        &self,
        address: &str,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let answer = tokio::select! {
            biased;
            refusal = self.refusal() => Err(placed(refusal, address)),
            answer = request => answer,
        };
        answer.map_err(|error| self.explain(error, address))
    }

    /// Fails as long as the server refuses the login.
    pub(crate) fn check(&self, address: &str) -> Result<()> {
        match self.known_refusal() {
            Some(refusal) => Err(placed(refusal, address)),
            None => Ok(()),
        }
    }

    /// Waits until the server has refused the login.
    async fn refusal(&self) -> Error {
        loop {
            let refused = self.refused.notified();
            match self.known_refusal() {
                Some(refusal) => return refusal,
                None => refused.await,
            }
        }
    }

    fn known_refusal(&self) -> Option<Error> {
        self.known_cause().filter(is_final)
    }

    fn known_cause(&self) -> Option<Error> {
        let cause = lock(&self.cause).as_ref().map(Error::without_source);
        cause.filter(|_| !self.state().up)
    }

    /// Adds the address, and the reason if it is known, to an error that says that no server answers.
    pub(crate) fn explain(&self, error: Error, address: &str) -> Error {
        if error.kind() != ErrorKind::Unavailable {
            return error;
        }
        placed(self.known_cause().unwrap_or(error), address)
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

fn placed(error: Error, address: &str) -> Error {
    error.context(format_args!("cannot reach `{address}`"))
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
    use std::{future::pending, pin::pin};

    use futures_util::poll;

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

    #[tokio::test]
    async fn a_request_ends_when_the_login_is_refused_and_goes_on_for_other_reasons() {
        let link = Link::default();
        let mut request = pin!(link.request(ADDRESS, pending::<Result<()>>()));
        assert!(poll!(&mut request).is_pending());
        link.report(&KafkaError::Global(Code::SSL), "not trusted");
        assert!(poll!(&mut request).is_pending());
        let last_error = link.state().last_error.unwrap();
        assert!(last_error.contains("not trusted"), "{last_error}");

        let refused = KafkaError::Global(Code::Authentication);
        link.report(&refused, "invalid password");
        link.report(&KafkaError::Global(Code::AllBrokersDown), "1/1 are down");
        let last_error = link.state().last_error.unwrap();
        assert!(last_error.contains("invalid password"), "{last_error}");
        let error = request.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        let expected = "cannot reach `kafka://nowhere:9092`: invalid password";
        assert!(text.contains(expected), "{text}");

        let request = link.request(ADDRESS, pending::<Result<()>>());
        assert!(request.await.is_err(), "as long as it is refused");
        link.up();
        assert!(link.request(ADDRESS, async { Ok(()) }).await.is_ok());
        let mut request = pin!(link.request(ADDRESS, pending::<Result<()>>()));
        assert!(poll!(&mut request).is_pending());
        // One server refuses the login while others accept it. Then they are lost.
        link.report(&refused, "invalid password");
        assert!(poll!(&mut request).is_pending());
        link.report(&KafkaError::Global(Code::AllBrokersDown), "1/1 are down");
        assert_eq!(request.await.unwrap_err().kind(), ErrorKind::Refused);
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
