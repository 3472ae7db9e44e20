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
use tracing::warn;

use super::{
    excerpt,
    flow::{Admission, Flow, Job},
    outcome,
    run::{self, End, Site},
};
use crate::{
    Answering, BoxError, Bus, Channel, Context, Fields, Handling, Heard, Published,
    ReceiverOptions, Result, Sender, SignalName, rpc::AnswerBody, stats::HandlerStats,
};

type Call = Box<dyn Fn(&Heard<'_>) -> Handling<Answering> + Send + Sync>;

/// A receiver of a living agent.
pub(crate) struct BoundReceiver {
    /// The agent's type.
    pub(crate) agent: &'static str,
    /// `CommentAgent.comments_count`, as it stands in answers.
    pub(crate) key: String,
    pub(crate) name: &'static str,
    pub(crate) cx: Context,
    pub(crate) options: ReceiverOptions,
    pub(crate) call: Call,
    pub(crate) flow: Flow,
    pub(crate) stats: Arc<HandlerStats>,
    pub(crate) tasks: TaskTracker,
    pub(crate) killed: CancellationToken,
}

/// One signal that a bus hears, as its subscription knows it.
pub(crate) struct Hearing {
    pub(crate) name: SignalName,
    pub(crate) declaration: &'static SignalDeclaration,
}

/// Hands one published message to these receivers; answers when it is a call.
pub(crate) fn hear(
    bus: &Bus,
    hearing: &Hearing,
    receivers: &[Arc<BoundReceiver>],
    published: &Published,
) {
    let Some(channel) = Channel::parse(&published.channel) else {
        bus.count_stray();
        warn!(
            channel = published.channel,
            "signal on a channel that is no {{prefix}}:{{signal}}:{{sender}}"
        );
        return;
    };
    let decoded = Fields::of(&published.payload).and_then(|fields| {
        bus.check_heard(hearing.declaration, &fields, &channel)
            .map(|()| fields)
    });
    let sender = Sender::from(channel.sender);
    let run = |receiver: &Arc<BoundReceiver>| match &decoded {
        Ok(fields) => receiver.decode(hearing, &sender, &published.payload, fields),
        Err(error) => {
            Err(receiver.undecodable(hearing, error.to_string().into(), &published.payload))
        }
    };
    let received = |receiver: &Arc<BoundReceiver>| Received {
        signal: hearing.name.clone(),
        again: receiver
            .retries()
            .then(|| (sender.clone(), published.payload.clone())),
    };
    let Some(id) = channel.id else {
        for receiver in receivers {
            if let Ok(run) = run(receiver) {
                receiver.start(received(receiver), run, |_| {});
            }
        }
        return;
    };
    let runs = receivers
        .iter()
        .map(|receiver| (receiver, run(receiver).map(|run| (received(receiver), run))));
    answer(bus, channel.prefix, id, runs);
}

type Run = std::pin::Pin<Box<dyn Future<Output = Result<Answering>> + Send>>;

/// What is left of a signal beside its run.
struct Received {
    signal: SignalName,
    /// What it is decoded from again, where its receiver runs again after failures.
    again: Option<(Sender, Bytes)>,
}

type Told = std::result::Result<Answering, String>;

/// Runs all receivers of a call and publishes what they said in one message.
fn answer<'a>(
    bus: &Bus,
    prefix: &str,
    id: &str,
    runs: impl Iterator<
        Item = (
            &'a Arc<BoundReceiver>,
            std::result::Result<(Received, Run), String>,
        ),
    >,
) {
    let mut tasks = None;
    let told = runs.map(|(receiver, run)| {
        let (tell, told) = oneshot::channel();
        match run {
            Ok((received, run)) => {
                receiver.start(received, run, |end| drop(tell.send(said(end))));
            }
            Err(failure) => drop(tell.send(Err(failure))),
        }
        tasks = Some(&receiver.tasks);
        let key = receiver.key.clone();
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

fn said(end: End<Answering>) -> Told {
    match end {
        End::Done(answer) => Ok(answer),
        End::Abandoned => Err("the agent is stopping".to_owned()),
        failed => Err(failed.failure().unwrap_or_default()),
    }
}

impl BoundReceiver {
    /// The decoded run, or the failure in words.
    fn decode(
        &self,
        hearing: &Hearing,
        sender: &Sender,
        body: &Bytes,
        fields: &Fields<'_>,
    ) -> std::result::Result<Run, String> {
        let heard = Heard {
            cx: &self.cx,
            signal: &hearing.name,
            sender,
            body,
            fields,
        };
        run::decoded(|| (self.call)(&heard)).map_err(|end| {
            let failure = end.failure().unwrap_or_default();
            run::record(&end, &self.site(&hearing.name), &self.stats, Instant::now());
            failure
        })
    }

    fn undecodable(&self, hearing: &Hearing, error: BoxError, body: &Bytes) -> String {
        let text = error.to_string();
        let end: End<()> =
            End::Undecodable(format!("{text}; it starts with `{}`", excerpt(body)).into());
        run::record(&end, &self.site(&hearing.name), &self.stats, Instant::now());
        text
    }

    /// Starts the run when there is a place for it. `tell` learns how it ended, and is dropped unused when the
    /// run had to go.
    fn start(
        self: &Arc<Self>,
        received: Received,
        run: Run,
        tell: impl FnOnce(End<Answering>) + Send + 'static,
    ) {
        let receiver = Arc::clone(self);
        let signal = received.signal.clone();
        let mut work = Some(async move { tell(receiver.run(&received, run).await) });
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
    async fn run(&self, received: &Received, run: Run) -> End<Answering> {
        let options = &self.options;
        let mut end = self.run_once(received, run).await;
        for attempt in 1.. {
            let again = outcome::again_after(&end, attempt, &options.retry, &options.failures);
            let Some(delay) = again else {
                break;
            };
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
            end = match self.decode_again(received) {
                Some(Ok(run)) => self.run_once(received, run).await,
                Some(Err(end)) => end,
                None => break,
            };
        }
        end
    }

    async fn run_once(&self, received: &Received, run: Run) -> End<Answering> {
        let began = Instant::now();
        let end = run::fenced(run, self.options.timeout, &self.killed).await;
        run::record(&end, &self.site(&received.signal), &self.stats, began);
        end
    }

    /// Whether a run may be followed by another.
    fn retries(&self) -> bool {
        !self.options.retry.delays().is_empty()
    }

    fn decode_again(
        &self,
        received: &Received,
    ) -> Option<std::result::Result<Run, End<Answering>>> {
        let (sender, body) = received.again.as_ref()?;
        let decoded = Fields::of(body)
            .map_err(End::Undecodable)
            .and_then(|fields| {
                let heard = Heard {
                    cx: &self.cx,
                    signal: &received.signal,
                    sender,
                    body,
                    fields: &fields,
                };
                run::decoded(|| (self.call)(&heard)).map_err(End::of)
            });
        Some(decoded)
    }

    /// Counts every signal that had to go; logs the first of each thousand, since they come in bursts.
    fn overflowed(&self, signal: &str, admission: &Admission) {
        let before = self.stats.dropped.get();
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
        }
    }
}
