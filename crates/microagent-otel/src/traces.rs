//! The exporter of a process, and the layer that feeds it.

use std::{env, fmt, time::Duration};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::redacted,
    trace::{TARGET, set_propagator},
};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{client::Client, config::Config, context::OtelPropagator};

/// The exporter of the traces of a process.
///
/// Spans wait in a queue of limited size (`OTEL_BSP_MAX_QUEUE_SIZE`, by default 2048) for the exporter's own thread. A
/// collector that is slow or away therefore costs spans, but neither time nor memory. Its failure is logged once, and
/// again after it has been reachable.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts the exporter that the environment describes, or returns `None` if neither `OTEL_EXPORTER_OTLP_ENDPOINT`,
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` nor `OTEL_TRACES_EXPORTER=otlp` is set. `service` is the `service.name` of the
    /// spans unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` sets another.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if a variable is invalid; the error names it.
    pub fn from_env(service: &str) -> Result<Option<Self>> {
        let config = Config::read(|name| env::var(name).ok())?;
        config
            .map(|config| Self::start(service, config))
            .transpose()
    }

    /// Starts an exporter for the collector at this URL, such as `http://localhost:4318/v1/traces`. Otherwise it follows the
    /// environment.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the URL or a variable is invalid.
    pub fn to(endpoint: &str, service: &str) -> Result<Self> {
        let config = Config::read(|name| match name {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => Some(endpoint.to_owned()),
            "OTEL_SDK_DISABLED" | "OTEL_TRACES_EXPORTER" => None,
            other => env::var(other).ok(),
        })?;
        let empty = || {
            Error::new(
                ErrorKind::Configuration,
                "missing endpoint of the collector",
            )
        };
        Self::start(service, config.ok_or_else(empty)?)
    }

    fn start(service: &str, config: Config) -> Result<Self> {
        let client = Client::new(redacted(&config.endpoint), config.timeout, config.trusted);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(config.endpoint)
            .with_timeout(config.timeout)
            .build()
            .map_err(|error| Error::new(ErrorKind::Configuration, error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(service))
            .with_batch_exporter(exporter)
            .build();
        // A propagator that the program has set itself stays.
        set_propagator(OtelPropagator);
        Ok(Self { provider })
    }

    /// Returns the layer that records spans for the exporter: those of MicroAgent, and all other spans and events of the
    /// level `INFO` and above. An event is recorded with the span in which it happens.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("microagent"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_exported))
    }

    /// Exports the spans that have ended, and waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the collector did not accept them.
    pub fn flush(&self) -> Result<()> {
        let flushed = self.provider.force_flush();
        flushed.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))
    }

    /// Exports the spans that have ended, for at most this time, and ends the exporter.
    pub fn shutdown(self, within: Duration) {
        // The client has logged the failure of an export.
        let _ = self.provider.shutdown_with_timeout(within);
    }
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET || *metadata.level() <= Level::INFO
}

/// Returns the description of this process. The environment overrides the name of the service.
fn resource(service: &str) -> Resource {
    let given = Resource::builder().build();
    let name = given.get(&"service.name".into());
    let is_given = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if is_given {
        return given;
    }
    Resource::builder()
        .with_attribute(KeyValue::new("service.name", service.to_owned()))
        .build()
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}
