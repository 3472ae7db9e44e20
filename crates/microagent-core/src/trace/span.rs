//! The spans, by the operation that each of them surrounds, and the record of its failure.

use tracing::{Level, Span, field::Empty, span, span_enabled};

use super::{TARGET, TraceContext, add_link, set_parent};
use crate::{
    Message, QueueBroker, Result, Route, SignalBus, broker::SendOptions, dispatch::run::End,
};

/// Returns true if a subscriber may want spans. It is one comparison if no subscriber enables `TRACE`.
pub(crate) fn is_enabled() -> bool {
    span_enabled!(target: TARGET, Level::TRACE)
}

/// Creates a span with the fields that all spans of messages have. Their order is that of the specification.
macro_rules! message_span {
    (
        [$($parent:tt)*] $name:literal, $kind:literal, $type:literal, $operation:expr, $system:expr, $destination:expr,
        $($field:literal = $value:expr,)*
    ) => {
        tracing::span!(
            target: $crate::trace::TARGET, $($parent)* tracing::Level::TRACE, $name,
            "otel.name" = format!("{} {}", $name, $destination),
            "otel.kind" = $kind,
            "otel.status_code" = tracing::field::Empty,
            "otel.status_description" = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            "messaging.system" = $crate::trace::system_of($system),
            "messaging.operation.name" = $operation,
            "messaging.operation.type" = $type,
            "messaging.destination.name" = $destination,
            $($field = $value,)*
        )
    };
}
pub(super) use message_span;

/// Returns the name of the messaging system from the address of a driver: that of OpenTelemetry's conventions if they
/// have one, else the scheme.
pub(crate) fn system_of(address: &str) -> &str {
    let scheme = address.split([':', '+']).next().unwrap_or_default();
    match scheme {
        "amqp" | "amqps" => "rabbitmq",
        "kafkas" => "kafka",
        "rediss" => "redis",
        other => other,
    }
}

/// Returns the span of sending a message to a queue.
pub(crate) fn send(
    broker: &dyn QueueBroker,
    route: &Route,
    bytes: usize,
    options: &SendOptions,
) -> Span {
    message_span!(
        [] "send", "producer", "send", "send", &broker.address(), route.queue.name(),
        "messaging.message.id" = options.id.as_deref(),
        "messaging.message.body.size" = bytes,
        "microagent.exchange" = route.exchange.as_deref().or(route.queue.exchange()),
        "microagent.topic" = route.topic.as_deref(),
    )
}

/// Returns the span of one run of a consumer. The span that sent the message is its parent, and a link leads to it.
pub(crate) fn process(
    broker: &dyn QueueBroker,
    agent: &str,
    handler: &str,
    message: &Message,
) -> Span {
    let span = message_span!(
        [parent: None,] "process", "consumer", "process", "process", &broker.address(), message.queue(),
        "messaging.message.id" = message.id(),
        "messaging.message.body.size" = message.payload().len(),
        "microagent.agent" = agent,
        "microagent.handler" = handler,
        "microagent.attempt" = message.attempt(),
    );
    let sent = TraceContext::of_message(message);
    set_parent(&span, sent.as_ref());
    add_link(&span, sent.as_ref());
    span
}

/// Returns the span of publishing a signal.
pub(crate) fn publish(bus: &dyn SignalBus, signal: &str, bytes: usize) -> Span {
    message_span!(
        [] "publish", "producer", "send", "publish", &bus.address(), signal,
        "messaging.message.body.size" = bytes,
    )
}

/// Returns the span of a call, from its signal to the first answer.
pub(crate) fn call(bus: &dyn SignalBus, signal: &str, bytes: usize) -> Span {
    message_span!(
        [] "call", "client", "send", "call", &bus.address(), signal,
        "messaging.message.body.size" = bytes,
    )
}

/// Returns the span of one run of a receiver for a signal that is not a call.
pub(crate) fn receive(bus: &dyn SignalBus, agent: &str, handler: &str, signal: &str) -> Span {
    message_span!(
        [parent: None,] "receive", "consumer", "process", "receive", &bus.address(), signal,
        "microagent.agent" = agent,
        "microagent.handler" = handler,
    )
}

/// Returns the span of one run of a receiver for a call. The span of the call is its parent, if the id of the call contains it.
pub(crate) fn answer(
    bus: &dyn SignalBus,
    agent: &str,
    handler: &str,
    signal: &str,
    caller: Option<&TraceContext>,
) -> Span {
    let span = message_span!(
        [parent: None,] "answer", "server", "process", "answer", &bus.address(), signal,
        "microagent.agent" = agent,
        "microagent.handler" = handler,
    );
    set_parent(&span, caller);
    span
}

/// Returns the span of one run of a schedule. It has no parent.
pub(crate) fn run(agent: &str, handler: &str, kind: &str) -> Span {
    span!(
        target: TARGET, parent: None, Level::TRACE, "run",
        "otel.name" = format!("run {handler}"),
        "otel.kind" = "internal",
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
        "error.type" = Empty,
        "microagent.agent" = agent,
        "microagent.handler" = handler,
        "microagent.kind" = kind,
    )
}

/// Records the error with which the operation of a span ended, if it did.
pub(crate) fn end<T>(span: &Span, result: &Result<T>) {
    if let (false, Err(error)) = (span.is_disabled(), result) {
        record_error(
            span,
            &format!("{:?}", error.kind()),
            &crate::shortened(error.to_string()),
        );
    }
}

/// Records the end of a run.
pub(crate) fn end_run<T>(span: &Span, end: &End<T>) {
    if span.is_disabled() {
        return;
    }
    let class = match end {
        End::Done(_) | End::Unneeded => return,
        End::Failed(_) => "failed",
        End::TimedOut(_) => "timeout",
        End::Panicked(_) => "panic",
        End::Undecodable(_) => "undecodable",
        End::Abandoned => "abandoned",
    };
    let text = end.failure();
    record_error(
        span,
        class,
        text.as_deref().unwrap_or("cut off at the end of the grace"),
    );
}

fn record_error(span: &Span, class: &str, text: &str) {
    span.record("error.type", class);
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", text);
}
