//! Reads and sets the context of spans that the layer of `tracing-opentelemetry` records.

use std::{collections::HashMap, sync::LazyLock};

use microagent_core::trace::{Propagator, TRACEPARENT, TRACESTATE, TraceContext};
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The format of the W3C recommendation *Trace Context*.
static W3C: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// The propagator of spans in OpenTelemetry.
pub(crate) struct OtelPropagator;

impl Propagator for OtelPropagator {
    fn context(&self, span: &Span) -> Option<TraceContext> {
        let mut fields = HashMap::new();
        W3C.inject_context(&span.context(), &mut fields);
        TraceContext::new(
            fields.get(TRACEPARENT)?,
            fields.get(TRACESTATE).map(String::as_str),
        )
    }

    fn set_parent(&self, span: &Span, parent: &TraceContext) {
        // It fails only without a layer of OpenTelemetry, and for a span that has been entered.
        let _ = span.set_parent(extracted(parent));
    }

    fn add_link(&self, span: &Span, to: &TraceContext) {
        span.add_link(span_context(to));
    }
}

fn span_context(context: &TraceContext) -> SpanContext {
    extracted(context).span().span_context().clone()
}

fn extracted(context: &TraceContext) -> Context {
    let state = context.state().map(|state| (TRACESTATE, state));
    let fields = [(TRACEPARENT, context.parent())].into_iter().chain(state);
    let fields: HashMap<_, _> = fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    W3C.extract_with_context(&Context::new(), &fields)
}
