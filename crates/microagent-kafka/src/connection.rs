//! The state of the connection to the servers.

use std::{future::Future, sync::Arc};

use microagent_core::{
    Result,
    driver::{ConnectionRecord, ConnectionState, Outage},
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
}

impl Link {
    pub(crate) fn state(&self) -> ConnectionState {
        self.record.state()
    }

    /// Takes an error of the client.
    pub(crate) fn report(&self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.record.down(error_of(error));
            self.lost.notify_one();
        }
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
        link.record.up();
        if outage.end() {
            info!(address, "connected again");
        }
        was_up = true;
        link.lost.notified().await;
    }
}
