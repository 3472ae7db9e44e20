//! The answers of an agent to questions on its bus about its status.
//!
//! A question opens a lease of [`STATUS_LEASE`], during which the agent publishes its status once a second. All who ask share
//! the answers, so their number does not depend on that of the questions. Without a lease the agent publishes nothing.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Fuse},
    stream::BoxStream,
};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument, debug, warn};

use super::{
    AgentId, STATUS_LEASE, StatusSource,
    watch::{Answer, Question},
};
use crate::{Bus, BusEvent, Channel, Context, ErrorKind, Result, text::excerpt};

/// The time between two answers.
const PERIOD: Duration = Duration::from_secs(1);

/// The longest time for which an answer waits for the numbers of the queues.
const DEPTHS: Duration = Duration::from_millis(300);

/// The longest time for which an answer is published. Later there is a newer one.
const PUBLISHING: Duration = Duration::from_secs(1);

/// The largest question that is read, in bytes.
const MAX_QUESTION: usize = 4096;

/// Answers questions about an agent's status until the agent has stopped. Nothing waits for that.
pub(crate) fn answer_on_bus(cx: &Context) {
    let Some(bus) = cx.own_bus().cloned() else {
        return;
    };
    let ended = cx.health().ended.clone();
    let (agent, source) = (cx.name().to_owned(), cx.status_source());
    let answering = async move {
        match Answering::subscribe(bus, source).await {
            Ok(answering) => answering.run().await,
            // The bus was closed first.
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) => warn!(
                agent,
                %error,
                "cannot subscribe to questions about the status; `marun status --bus` does not show this agent"
            ),
        }
    };
    let answering = async move {
        ended
            .run_until_cancelled(answering)
            .await
            .unwrap_or_default();
    };
    drop(tokio::spawn(answering.in_current_span()));
}

struct Answering {
    bus: Bus,
    source: StatusSource,
    id: AgentId,
    questions: BoxStream<'static, BusEvent>,
    /// The subscription by which the server knows that the agent exists.
    presence: BoxStream<'static, BusEvent>,
    /// The number of questions that could not be read.
    unreadable: u64,
}

impl Answering {
    async fn subscribe(bus: Bus, source: StatusSource) -> Result<Self> {
        let id = AgentId::of_this_process(source.agent(), bus.host());
        // An agent that is listed can be asked.
        let questions = Channel::status_questions(bus.prefix());
        let questions = bus.driver().subscribe(&questions).await?;
        let presence = format!("{}{id}", Channel::status_agents(bus.prefix()));
        let presence = bus.driver().subscribe(&presence).await?;
        Ok(Self {
            bus,
            source,
            id,
            questions,
            presence,
            unreadable: 0,
        })
    }

    async fn run(mut self) {
        let mut lease = Lease::default();
        let mut depths = Fuse::<BoxFuture<'static, ()>>::terminated();
        loop {
            tokio::select! {
                event = self.questions.next() => match event {
                    Some(BusEvent::Message(message)) if self.is_question(&message.payload) => lease.renew(),
                    Some(_) => {}
                    None => return,
                },
                event = self.presence.next() => if event.is_none() {
                    return;
                },
                () = lease.due() => {
                    let source = self.source.clone();
                    refreshed(&mut depths, async move { source.refresh().await }).await;
                    let is_heard = publish(&self.bus, &self.id, &self.source).await;
                    lease.answered(is_heard);
                }
                () = &mut depths => {}
            }
        }
    }

    /// Returns whether this is a question. Anything else is logged, the first of each thousand.
    fn is_question(&mut self, payload: &[u8]) -> bool {
        let error = if payload.len() > MAX_QUESTION {
            format!("{} bytes: expected at most {MAX_QUESTION}", payload.len())
        } else {
            match Question::check(payload) {
                Ok(()) => return true,
                Err(error) => error,
            }
        };
        if self.unreadable.is_multiple_of(1000) {
            warn!(
                agent = self.id.agent,
                error,
                payload = %excerpt(payload),
                unreadable = self.unreadable + 1,
                "invalid question about the status; ignored"
            );
        }
        self.unreadable += 1;
        false
    }
}

/// Publishes the status. Returns false if nobody has received it.
async fn publish(bus: &Bus, id: &AgentId, source: &StatusSource) -> bool {
    let status = source.status();
    let answer = Answer::of(id, &status);
    let payload = match serde_json::to_vec(&answer) {
        Ok(payload) => Bytes::from(payload),
        Err(error) => {
            warn!(agent = id.agent, %error, "the status cannot be written as JSON");
            return false;
        }
    };
    let channel = Channel::status_answers(bus.prefix());
    let published = timeout(PUBLISHING, bus.driver().publish(&channel, payload)).await;
    match published {
        Ok(Ok(receivers)) => !receivers.is_none(),
        Ok(Err(error)) => {
            debug!(agent = id.agent, %error, "the status was not published");
            true
        }
        Err(_) => true,
    }
}

/// Starts a refresh if none goes on, and waits for it for a moment.
async fn refreshed(
    depths: &mut Fuse<BoxFuture<'static, ()>>,
    refresh: impl Future<Output = ()> + Send + 'static,
) {
    if futures_util::future::FusedFuture::is_terminated(depths) {
        *depths = refresh.boxed().fuse();
    }
    // It goes on if it takes longer, for the next answer.
    let _ = timeout(DEPTHS, depths).await;
}

/// The time in which an agent answers.
#[derive(Debug, Default)]
struct Lease {
    until: Option<Instant>,
    last_answer: Option<Instant>,
}

impl Lease {
    fn renew(&mut self) {
        self.until = Some(Instant::now() + STATUS_LEASE);
    }

    /// Waits for the time of the next answer, indefinitely if no lease lasts that long.
    async fn due(&self) {
        let next = match self.last_answer {
            Some(last) => last + PERIOD,
            None => Instant::now(),
        };
        if self.until.is_none_or(|until| until < next) {
            return std::future::pending().await;
        }
        sleep_until(next).await;
    }

    /// Notes an answer. A lease ends early if nobody receives the answers.
    fn answered(&mut self, is_heard: bool) {
        let now = Instant::now();
        self.last_answer = Some(now);
        if !is_heard {
            self.until = None;
        }
    }
}
