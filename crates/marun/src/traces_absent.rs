//! Replaces `traces.rs` in a launcher that is built without the feature `otel`.

use std::env;

use microagent_core::Result;
use tokio::time::Instant;
use tracing::warn;

use crate::logging::MoreLayers;

/// The variables of the environment that ask for the export of traces.
const ASKING: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
];

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

    /// Warns if the environment asks for the export of traces.
    #[expect(
        clippy::unused_self,
        reason = "the exporter of `traces.rs` may have started"
    )]
    pub(crate) fn log(&self) {
        if let Some(variable) = asking(|name| env::var(name).ok()) {
            warn!(
                "{variable} has no effect: this program exports no traces; enable the feature `otel` of the crate `marun`"
            );
        }
    }

    pub(crate) async fn shutdown(self, _: Option<Instant>) {}
}

/// Returns the variable that asks for the export of traces, unless another switches it off.
fn asking(variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let value = |name: &str| variable(name).map(|value| value.trim().to_owned());
    let is_disabled = value("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let is_off = value("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none");
    let is_set = |name: &&str| value(name).is_some_and(|value| !value.is_empty());
    ASKING
        .into_iter()
        .find(|name| !is_disabled && !is_off && is_set(name))
}
