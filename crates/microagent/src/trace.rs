//! The spans of messages, signals, calls and scheduled runs, and the context that travels with them.
//!
//! The module `otel`, with the feature of that name, has a [`Propagator`] for OpenTelemetry.

pub use microagent_core::trace::{
    Propagator, TARGET, TRACEPARENT, TRACESTATE, TraceContext, set_propagator,
};
