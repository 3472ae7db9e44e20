//! From a published message to the receivers of its signal, and from their results to one answer.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;
use microagent_schema::SignalDeclaration;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{
    flow::{Admission, Flow, Job},
    outcome,
    run::{self, End, Site},
};
use crate::{
    Bus, BusMessage, Channel, Context, Error, ErrorKind, Fields, HandlerFuture, HandlerReply,
    ReceiverOptions, Result, Sender, SignalInput, SignalName,
    bus::{check, check_received},
    clock::later,
    rpc::{AnswerBody, CallScope, Caller},
    shortened,
    stats::{Counter, HandlerStats},
    text::excerpt,
};

type Call = Box<dyn Fn(&SignalInput<'_>) -> HandlerFuture<HandlerReply> + Send + Sync>;

/// A receiver of a living agent.
pub(crate) struct BoundReceiver {
    /// The agent's type.
    pub(crate) agent: &'static str,
    /// `CommentAgent.comments_count`, as it stands in answers.
    pub(crate) key: Arc<str>,
    pub(crate) name: &'static str,
    pub(crate) cx: Context,
    pub(crate) options: ReceiverOptions,
    pub(crate) call: Call,
    pub(crate) flow: Flow,
    pub(crate) stats: Arc<HandlerStats>,
    /// The signals that were dropped since it last kept up.
    pub(crate) dropped: Counter,
    pub(crate) tasks: TaskTracker,
    pub(crate) killed: CancellationToken,
}

/// One signal that a bus hears, as its subscription knows it.
pub(crate) struct Hearing {
    pub(crate) name: SignalName,
    pub(crate) declaration: &'static SignalDeclaration,
    /// What breaks the declaration is refused, not only warned of.
    pub(crate) strict: bool,
}

/// Hands one published message to these receivers; answers when it is a call.
pub(crate) fn hear(
    bus: &Bus,
    hearing: &Arc<Hearing>,
    receivers: &[Arc<BoundReceiver>],
    published: &BusMessage,
) {
    let Some(channel) = Channel::parse(&published.channel) else {
        return stray(bus, &published.channel);
    };
    let sender = Sender::from(channel.sender);
    let caller = channel.id.and_then(Caller::parse);
    let received = |warns| Received {
        hearing: Arc::clone(hearing),
        caller: caller.clone(),
        sender: sender.clone(),
        body: published.payload.clone(),
        warns,
    };
    let one_warns = std::iter::once(true).chain(std::iter::repeat(false));
    let receivers = receivers.iter().zip(one_warns.map(received));
    match channel.id {
        None => receivers.for_each(|(receiver, received)| receiver.start(received, drop)),
        Some(id) => answer(bus, channel.prefix, id, receivers),
    }
}

/// Counts a signal without a sender; logs the first of each thousand, since whoever sends one sends more.
fn stray(bus: &Bus, channel: &str) {
    let before = bus.strays();
    bus.count_stray();
    if before.is_multiple_of(1000) {
        warn!(
            channel = shortened(channel),
            strays = before + 1,
            "signal on a channel that is no {{prefix}}:{{signal}}:{{sender}}"
        );
    }
}

type Run = std::pin::Pin<Box<dyn Future<Output = Result<HandlerReply>> + Send>>;

/// A signal, to be decoded where it runs: so that decoding keeps no other signal waiting, and can be done again.
struct Received {
    hearing: Arc<Hearing>,
    sender: Sender,
    /// Who waits for an answer, as far as the id of the call says so.
    caller: Option<Caller>,
    body: Bytes,
    /// One of its receivers warns of what breaks the declaration.
    warns: bool,
}

impl Received {
    /// The body's fields, if it keeps to its declaration as far as the bus asks for that.
    fn fields(&self) -> std::result::Result<Fields<'_>, End<HandlerReply>> {
        check_received(self.body.len())
            .and_then(|()| Fields::of(&self.body))
            .and_then(|fields| self.check(&fields).map(|()| fields))
            .map_err(|error| {
                let text = format!("{error}; it starts with `{}`", excerpt(&self.body));
                End::Undecodable(Error::new(error.kind(), text))
            })
    }

    /// Whether it is a call whose caller has stopped waiting by then.
    fn unneeded_by(&self, then: Instant) -> bool {
        let caller = self.caller.as_ref();
        caller.is_some_and(|caller| caller.gave_up_by(then))
    }

    fn check(&self, fields: &Fields<'_>) -> Result<()> {
        let Some(misfit) = check::misfit(self.hearing.declaration, fields) else {
            return Ok(());
        };
        let (signal, sender) = (&*self.hearing.name, shortened(&*self.sender));
        if self.hearing.strict {
            let text = format!("signal `{signal}` from `{sender}`: {misfit}");
            return Err(Error::new(ErrorKind::InvalidPayload, text));
        }
        if self.warns {
            warn!(
                signal,
                sender, misfit, "signal heard that breaks its declaration"
            );
        }
        Ok(())
    }
}

type Told = std::result::Result<HandlerReply, String>;

/// Runs all receivers of a call and publishes what they said in one message.
fn answer<'a>(
    bus: &Bus,
    prefix: &str,
    id: &str,
    receivers: impl Iterator<Item = (&'a Arc<BoundReceiver>, Received)>,
) {
    let mut tasks = None;
    let told = receivers.map(|(receiver, received)| {
        let (tell, told) = oneshot::channel();
        receiver.start(received, |end| drop(tell.send(said(end))));
        tasks = Some(&receiver.tasks);
        let key = receiver.key.to_string();
        async move {
            let told = told
                .await
                .unwrap_or_else(|_| Err("dropped: too many signals wait".to_owned()));
            (key, told)
        }
    });
    let told: Vec<_> = told.collect();
    let Some(tasks) = tasks else {
        return;
    };
    let (bus, prefix, id) = (bus.clone(), prefix.to_owned(), id.to_owned());
    tasks.spawn(async move {
        let answers: Vec<(String, Told)> = join_all(told).await;
        if let Err(error) = bus
            .publish_answer(&prefix, &id, AnswerBody::of(&answers))
            .await
        {
            warn!(id, %error, "the answer to a call was not sent");
        }
    });
}

fn said(end: End<HandlerReply>) -> Told {
    match end {
        End::Done(answer) => Ok(answer),
        End::Abandoned => Err("the agent is stopping".to_owned()),
        End::Unneeded => Err("not started: its caller had stopped waiting".to_owned()),
        failed => Err(failed.failure().unwrap_or_default()),
    }
}

impl BoundReceiver {
    /// Starts the run when there is a place for it. `tell` learns how it ended, and is dropped unused when the
    /// run had to go.
    fn start(
        self: &Arc<Self>,
        received: Received,
        tell: impl FnOnce(End<HandlerReply>) + Send + 'static,
    ) {
        let receiver = Arc::clone(self);
        let signal = received.hearing.name.clone();
        let mut work = Some(async move { tell(receiver.run(&received).await) });
        let admission = self.flow.admit(|| -> Job {
            match work.take() {
                Some(work) => Box::pin(work),
                None => Box::pin(std::future::ready(())),
            }
        });
        if let (Admission::Runs, Some(work)) = (&admission, work) {
            let receiver = Arc::clone(self);
            self.tasks.spawn(async move {
                work.await;
                while let Some(next) = receiver.flow.next() {
                    next.await;
                }
                receiver.keeps_up();
            });
        }
        if matches!(
            admission,
            Admission::Refused | Admission::WaitsInsteadOfOldest
        ) {
            self.overflowed(&signal, &admission);
        }
    }

    /// Runs, and runs again after failures as its options say. It keeps its place meanwhile.
    async fn run(&self, received: &Received) -> End<HandlerReply> {
        let options = &self.options;
        let mut end = self.run_once(received).await;
        for attempt in 1.. {
            let again = outcome::again_after(&end, attempt, &options.retry, &options.into());
            let Some(delay) = again else {
                break;
            };
            if received.unneeded_by(later(Instant::now(), delay)) {
                break;
            }
            warn!(
                agent = self.cx.name(),
                handler = self.name,
                attempt,
                ?delay,
                "it runs again"
            );
            tokio::select! {
                biased;
                () = self.cx.stopping().cancelled() => break,
                () = sleep(delay) => {}
            }
            end = self.run_once(received).await;
        }
        end
    }

    async fn run_once(&self, received: &Received) -> End<HandlerReply> {
        let began = Instant::now();
        if received.unneeded_by(began) {
            return self.skip(received);
        }
        let end = match self.decode(received) {
            Ok(run) => {
                let timeout = self.options.timeout;
                let scope = CallScope::new(&self.key, received.caller.clone(), timeout);
                let run = run::fenced(run, timeout, &self.killed);
                scope.around(run).await
            }
            Err(end) => end,
        };
        run::record(&end, &self.site(&received.hearing.name), &self.stats, began);
        end
    }

    /// A call that waited for a place longer than its caller did.
    fn skip(&self, received: &Received) -> End<HandlerReply> {
        self.stats.dropped.count();
        debug!(
            agent = self.cx.name(),
            handler = self.name,
            source = &*received.hearing.name,
            "call not started: its caller had stopped waiting"
        );
        End::Unneeded
    }

    fn decode(&self, received: &Received) -> std::result::Result<Run, End<HandlerReply>> {
        let fields = received.fields()?;
        let heard = SignalInput {
            cx: &self.cx,
            signal: &received.hearing.name,
            sender: &received.sender,
            body: &received.body,
            fields: &fields,
        };
        run::decoded(|| (self.call)(&heard)).map_err(End::of)
    }

    /// Logs how many signals were dropped, now that no signal waits.
    fn keeps_up(&self) {
        let dropped = self.dropped.take();
        if dropped > 0 {
            warn!(
                agent = self.cx.name(),
                handler = self.name,
                dropped,
                "receiver keeps up again: signals were dropped"
            );
        }
    }

    /// Counts every signal that had to go; logs the first of each thousand, since they come in bursts.
    fn overflowed(&self, signal: &str, admission: &Admission) {
        let before = self.dropped.get();
        self.dropped.count();
        self.stats.dropped.count();
        if before.is_multiple_of(1000) {
            let which = if *admission == Admission::Refused {
                "newest"
            } else {
                "oldest"
            };
            warn!(
                agent = self.cx.name(),
                handler = self.name,
                source = signal,
                which,
                dropped = before + 1,
                "receiver is too slow: signals are dropped"
            );
        }
    }

    fn site<'a>(&'a self, signal: &'a str) -> Site<'a> {
        Site {
            agent: self.cx.name(),
            handler: self.name,
            kind: "signal",
            source: signal,
            message: None,
        }
    }
}
