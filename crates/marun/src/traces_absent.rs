//! Replaces `traces.rs` in a launcher that is built without the feature `otel`.

use microagent_core::Result;
use tokio::time::Instant;

use crate::logging::MoreLayers;

/// The exporter of traces: none.
pub(crate) struct Traces;

impl Traces {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the exporter of `traces.rs` can fail to start"
    )]
    pub(crate) fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }

    #[expect(
        clippy::unused_self,
        reason = "the exporter of `traces.rs` has a layer"
    )]
    pub(crate) fn layer(&self) -> MoreLayers {
        None
    }

    pub(crate) async fn shutdown(self, _: Option<Instant>) {}
}
