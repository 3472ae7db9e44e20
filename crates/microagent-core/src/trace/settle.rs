//! The spans of settlements.

use tracing::Span;

use super::{TraceContext, add_link, context_of, set_parent, span};
use crate::{Message, Result, Settlement};

/// The data that a delivery keeps of the run of its consumer, so that its settlement continues the trace wherever it
/// happens.
#[derive(Clone, Debug)]
pub(crate) struct SettleTrace {
    address: Box<str>,
    /// The run.
    process: Option<TraceContext>,
}

impl SettleTrace {
    /// Creates the trace of a delivery that this span processes.
    pub(crate) fn of(address: String, process: &Span) -> Box<Self> {
        Box::new(Self {
            address: address.into(),
            process: context_of(process),
        })
    }

    /// Returns the span of a settlement. The run is its parent; a link leads to the span that sent the message. It is not a child
    /// of the run for `tracing`, because the run's span would then not end before the settlement is confirmed.
    pub(crate) fn span(&self, message: &Message, settlement: &Settlement) -> Span {
        let (name, dead_letter, reason) = match settlement {
            Settlement::Ack => ("ack", None, None),
            Settlement::Retry { .. } => ("retry", None, None),
            Settlement::DeadLetter { queue, reason, .. } => {
                ("dead_letter", Some(queue.as_str()), Some(reason.as_str()))
            }
            Settlement::Return => ("return", None, None),
        };
        let span = span::message_span!(
            [parent: None,] "settle", "client", "settle", name, &self.address, message.queue(),
            "messaging.message.id" = message.id(),
            "microagent.dead_letter.queue" = dead_letter,
            "microagent.dead_letter.reason" = reason,
        );
        let sent = TraceContext::of_message(message);
        set_parent(&span, self.process.as_ref().or(sent.as_ref()));
        add_link(&span, sent.as_ref());
        span
    }
}

/// The span of a settlement that is not confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct OpenSettle(Option<Box<Span>>);

impl OpenSettle {
    pub(crate) fn new(span: Span) -> Self {
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    /// Ends the span with the result of the settlement.
    pub(crate) fn end(&mut self, result: &Result<()>) {
        if let Some(span) = self.0.take() {
            // A span ends when it is left for the last time.
            span.in_scope(|| span::end(&span, result));
        }
    }
}
