//! From a published message to the receivers of its signal, and from their results to one answer.

use std::sync::Arc;

use bytes::Bytes;
use microagent_schema::SignalDeclaration;
use tokio::{sync::oneshot, time::Instant};
use tracing::warn;

use super::{
    receiver::{BoundReceiver, Job},
    run::End,
};
use crate::{
    Bus, BusMessage, Channel, Error, ErrorKind, Fields, HandlerReply, Result, Sender, SignalName,
    bus::{check, check_received},
    rpc::{AnswerBody, Caller},
    shortened,
    text::excerpt,
};

/// A signal that a bus subscribes to.
pub(crate) struct SubscribedSignal {
    pub(crate) name: SignalName,
    pub(crate) declaration: &'static SignalDeclaration,
    /// A payload that breaks the declaration is refused, and not only logged.
    pub(crate) strict: bool,
}

/// The sender of the last message of a subscription. Most messages come from the same senders, so that most need no new text.
#[derive(Default)]
pub(super) struct LastSender(Option<Sender>);

impl LastSender {
    fn named(&mut self, name: &str) -> Sender {
        let same = self.0.take().filter(|last| **last == *name);
        self.0.insert(same.unwrap_or_else(|| name.into())).clone()
    }
}

/// Hands one published message to these receivers, and answers if it is a call.
pub(super) fn receive(
    bus: &Bus,
    signal: &Arc<SubscribedSignal>,
    receivers: &[Arc<BoundReceiver>],
    last_sender: &mut LastSender,
    published: BusMessage,
) {
    let BusMessage {
        channel: name,
        mut payload,
    } = published;
    let Some(channel) = Channel::parse(&name) else {
        return stray(bus, &name);
    };
    let sender = last_sender.named(channel.sender);
    let caller = channel.id.and_then(Caller::parse);
    let mut replies = Vec::new();
    for (index, receiver) in receivers.iter().enumerate() {
        let received = Received {
            signal: Arc::clone(signal),
            sender: sender.clone(),
            caller: caller.clone(),
            is_call: channel.id.is_some(),
            // The first clone of a payload allocates, and most signals have one receiver.
            body: if index + 1 < receivers.len() {
                payload.clone()
            } else {
                std::mem::take(&mut payload)
            },
            warns: index == 0,
        };
        let reply = channel.id.map(|_| {
            let (reply, replied) = oneshot::channel();
            replies.push((Arc::clone(&receiver.key), replied));
            reply
        });
        receiver.start(Job { received, reply });
    }
    if let (Some(id), Some(receiver)) = (channel.id, receivers.last()) {
        let answer = answer(
            bus.clone(),
            channel.prefix.to_owned(),
            id.to_owned(),
            replies,
        );
        receiver.tasks.spawn(answer);
    }
}

/// Counts a signal without a sender; logs the first of each thousand, since a peer that sends one sends more.
fn stray(bus: &Bus, channel: &str) {
    let before = bus.strays();
    bus.count_stray();
    if before.is_multiple_of(1000) {
        warn!(
            channel = shortened(channel),
            strays = before + 1,
            "invalid channel of a signal: expected {{prefix}}:{{signal}}:{{sender}}"
        );
    }
}

/// A signal that is decoded where it runs, so that decoding delays no other signal, and can be repeated.
pub(super) struct Received {
    pub(super) signal: Arc<SubscribedSignal>,
    pub(super) sender: Sender,
    /// The caller that waits for an answer, if the id of the call says so.
    pub(super) caller: Option<Caller>,
    /// Its channel has the id of a call, perhaps of a peer whose ids tell nothing of the caller.
    pub(super) is_call: bool,
    pub(super) body: Bytes,
    /// One of its receivers logs a payload that breaks the declaration.
    warns: bool,
}

impl Received {
    /// Returns the body's fields, if it keeps to its declaration as far as the bus asks for that.
    pub(super) fn fields(&self) -> std::result::Result<Fields<'_>, End<HandlerReply>> {
        check_received(self.body.len())
            .and_then(|()| Fields::of(&self.body))
            .and_then(|fields| self.check(&fields).map(|()| fields))
            .map_err(|error| {
                let text = format!("{error}; it starts with `{}`", excerpt(&self.body));
                End::Undecodable(Error::new(error.kind(), text))
            })
    }

    /// Returns true for a call whose caller has stopped waiting by then.
    pub(super) fn unneeded_by(&self, then: Instant) -> bool {
        let caller = self.caller.as_ref();
        caller.is_some_and(|caller| caller.gave_up_by(then))
    }

    fn check(&self, fields: &Fields<'_>) -> Result<()> {
        let Some(misfit) = check::misfit(self.signal.declaration, fields) else {
            return Ok(());
        };
        let (signal, sender) = (&*self.signal.name, shortened(&*self.sender));
        if self.signal.strict {
            let text = format!("signal `{signal}` from `{sender}`: {misfit}");
            return Err(Error::new(ErrorKind::InvalidPayload, text));
        }
        if self.warns {
            warn!(
                signal,
                sender, misfit, "signal received that breaks its declaration"
            );
        }
        Ok(())
    }
}

/// The reply of one receiver, or the reason why there is none.
pub(super) type Reply = std::result::Result<HandlerReply, String>;

/// Waits for the replies of all receivers of a call, and publishes them in one message.
async fn answer(
    bus: Bus,
    prefix: String,
    id: String,
    replies: Vec<(Arc<str>, oneshot::Receiver<Reply>)>,
) {
    let mut answers = Vec::with_capacity(replies.len());
    for (receiver, reply) in replies {
        let reply = reply
            .await
            .unwrap_or_else(|_| Err("dropped: too many signals wait".to_owned()));
        answers.push((receiver.to_string(), reply));
    }
    if let Err(error) = bus
        .publish_answer(&prefix, &id, AnswerBody::of(&answers))
        .await
    {
        warn!(id, %error, "the answer to a call was not sent");
    }
}

/// Returns the reply that the end of a run is.
pub(super) fn reply_of(end: End<HandlerReply>) -> Reply {
    match end {
        End::Done(reply) => Ok(reply),
        End::Abandoned => Err("the agent is stopping".to_owned()),
        End::Unneeded => Err("not started: its caller had stopped waiting".to_owned()),
        failed => Err(failed.failure().unwrap_or_default()),
    }
}
