//! Exports the traces of MicroAgent, and all other spans of a program, by the OpenTelemetry protocol (OTLP) over HTTP.
//!
//! [`Traces`] reads the standard variables `OTEL_…` of the environment, exports on a thread of its own and makes the
//! context of spans travel with messages and calls. Its [`layer`](Traces::layer) is one of the layers of the program's
//! subscriber:
//!
//! ```
//! use std::time::Duration;
//! use microagent_otel::Traces;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let traces = Traces::from_env("shop")?; // `None` unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set
//! let layer = traces.as_ref().map(Traces::layer);
//! tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
//!     // The program; a real one calls `tracing_subscriber::util::SubscriberInitExt::init`.
//! });
//! if let Some(traces) = traces {
//!     traces.shutdown(Duration::from_secs(1)); // exports what is left
//! }
//! # Ok::<(), microagent_core::Error>(())
//! ```
//!
//! | file | content |
//! |---|---|
//! | `config/` | the variables of the environment, and their errors |
//! | `client.rs` | the HTTP client of the exporter, and the log of an outage |
//! | `context.rs` | reads and sets the context of spans |
//! | `traces.rs` | the exporter and the layer |

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod client;
mod config;
mod context;
mod traces;

pub use traces::Traces;
