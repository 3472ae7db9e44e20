//! The export of the traces of a member, which the variables `OTEL_…` of its environment configure.

use std::time::Duration;

use microagent::otel;
use microagent_core::Result;
use tokio::{task::spawn_blocking, time::Instant};
use tracing::debug;
use tracing_subscriber::{Layer, Registry};

use crate::logging::MoreLayers;

/// The longest time that a member waits for the collector when it ends.
const LAST_EXPORT: Duration = Duration::from_secs(1);

/// The shortest one, which fits between the end of the grace and the end of the supervisor's patience.
const SHORTEST_LAST_EXPORT: Duration = Duration::from_millis(100);

/// The exporter of a member, if its environment configures one.
pub(crate) struct Traces(Option<otel::Traces>);

impl Traces {
    /// Starts the exporter. The agent's name is the name of the service unless the environment has another.
    ///
    /// # Errors
    /// If a variable is invalid.
    pub(crate) fn start(agent: &str) -> Result<Self> {
        otel::Traces::from_env(agent).map(Self)
    }

    /// Returns the layer of the subscriber that records spans.
    pub(crate) fn layer(&self) -> MoreLayers {
        let traces = self.0.as_ref()?;
        Some(traces.layer::<Registry>().boxed())
    }

    /// Logs if traces are exported.
    pub(crate) fn log(&self) {
        if self.0.is_some() {
            debug!("exporting traces");
        }
    }

    /// Exports what is left, until this time if there is one.
    pub(crate) async fn shutdown(self, deadline: Option<Instant>) {
        let Some(traces) = self.0 else {
            return;
        };
        let left = deadline.map_or(LAST_EXPORT, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        let within = left.clamp(SHORTEST_LAST_EXPORT, LAST_EXPORT);
        // It fails only if it panics, and the member ends in any case.
        let _ = spawn_blocking(move || traces.shutdown(within)).await;
    }
}
