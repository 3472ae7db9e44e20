//! A connection while it is up: commands become frames, frames become answers, events and deliveries.

use std::{io, mem, pin::pin};

use futures_util::{FutureExt, StreamExt};
use microagent_core::Result;
use tokio::{
    sync::oneshot,
    task::yield_now,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use super::Pump;
use crate::{
    connection::{
        command::{Answer, Command},
        consumers::Incoming,
        dial::Line,
        pending::Asked,
    },
    protocol::{ClientFrame, Failure, HubFrame, Letter, LocalId, PING, Requested, SILENCE},
};

/// How many commands, or frames, are taken in one go.
const TURN: usize = 256;

/// With so many commands a call of the system pays; waiting for more would only leave the hub idle.
const ENOUGH: usize = 128;

/// Why a connection is served no longer.
pub(super) enum Ended {
    /// It is to be dialled again; the reason is for people.
    Lost(String),
    /// Nobody uses it any more.
    Over,
}

impl Pump {
    /// Serves until the connection is lost or not wanted any more.
    pub(super) async fn serve(&mut self, mut line: Line) -> Ended {
        self.resume(&mut line);
        let mut heard = Instant::now();
        let mut looked = heard;
        let mut ping = pin!(interval(PING));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commands = Vec::with_capacity(TURN);
        loop {
            let step = tokio::select! {
                biased;
                flushed = line.writer.flush(), if !line.writer.is_empty() => lost_by(flushed),
                taken = self.commands.recv_many(&mut commands, TURN), if !line.writer.is_full() => {
                    self.drain_commands(taken, &mut commands, &mut line).await
                }
                frame = line.reader.next() => {
                    heard = Instant::now();
                    self.handle_frames(frame, &mut line)
                }
                _ = ping.tick() => {
                    // This process itself may have stood still: then what has arrived is read before anyone is judged.
                    if mem::replace(&mut looked, Instant::now()).elapsed() > 2 * PING {
                        heard = Instant::now();
                    }
                    self.on_tick(heard, &mut line)
                }
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    /// Says again what the hub of an earlier connection knew, and what waited for this one.
    fn resume(&mut self, line: &mut Line) {
        for (sub, pattern) in self.subscriptions.patterns() {
            let request = Requested::Subscribe { sub, pattern };
            self.request(request, Asked::Subscribe(sub), line);
        }
        for (consumer, request) in self.consumers.requests() {
            self.request(request, Asked::Consume(consumer), line);
        }
        for (request, reply) in self.held.take() {
            self.request(request, Asked::Request(reply), line);
        }
    }

    /// Takes the commands, and those of tasks that were about to run: one call of the system for all of them.
    async fn drain_commands(
        &mut self,
        taken: usize,
        commands: &mut Vec<Command>,
        line: &mut Line,
    ) -> Result<(), Ended> {
        if taken == 0 {
            // Everybody has gone without a word; what they had goes back all the same.
            let (done, _) = oneshot::channel();
            return self.handle_command(Command::Goodbye(done), Some(line));
        }
        let mut gathered = 0;
        while !commands.is_empty() {
            gathered += commands.len();
            for command in commands.drain(..) {
                self.handle_command(command, Some(line))?;
            }
            if line.writer.is_full() || gathered >= ENOUGH {
                break;
            }
            yield_now().await;
            let more = self.commands.recv_many(commands, TURN).now_or_never();
            if more.is_none_or(|more| more == 0) {
                break;
            }
        }
        Ok(())
    }

    /// Takes a frame, and those that have arrived with it.
    fn handle_frames(
        &mut self,
        first: Option<io::Result<HubFrame>>,
        line: &mut Line,
    ) -> Result<(), Ended> {
        let mut next = Some(first);
        let mut left = TURN;
        while let Some(frame) = next {
            match frame {
                Some(Ok(frame)) => self.handle_frame(frame, line)?,
                Some(Err(error)) => return lost_by(Err(error)),
                None => return Err(Ended::Lost("the hub closed the connection".to_owned())),
            }
            left -= 1;
            next = if left > 0 {
                line.reader.next().now_or_never()
            } else {
                None
            };
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: HubFrame, line: &mut Line) -> Result<(), Ended> {
        match frame {
            HubFrame::Done(id, result) => {
                if let Some(asked) = self.pending.take(id) {
                    return self.answered(asked, result.map(|()| Answer::Done));
                }
            }
            HubFrame::AllDone(first, last) => {
                for id in first..=last {
                    let Some(asked) = self.pending.take(id) else {
                        // A peer that counts wrongly must not keep this one busy.
                        break;
                    };
                    self.answered(asked, Ok(Answer::Done))?;
                }
            }
            HubFrame::Count(id, count) => {
                if let Some(asked) = self.pending.take(id) {
                    return self.answered(asked, Ok(Answer::Count(count)));
                }
            }
            HubFrame::Depth(id, counts) => {
                if let Some(asked) = self.pending.take(id) {
                    return self.answered(asked, Ok(Answer::Depth(counts)));
                }
            }
            HubFrame::Lease(id, left) => {
                if let Some(asked) = self.pending.take(id) {
                    return self.answered(asked, Ok(Answer::Lease(left)));
                }
            }
            HubFrame::Event {
                sub,
                channel,
                payload,
            } => self.subscriptions.hear(sub, &channel, payload),
            HubFrame::Missed { sub, count, lasted } => {
                self.subscriptions.missed(sub, count, lasted);
            }
            HubFrame::Delivery { consumer, letter } => self.pass_on(consumer, letter, line),
            HubFrame::Shown { request, letter } => self.pending.show(request, letter),
            HubFrame::Pong => {}
            HubFrame::Welcome { .. } => {
                return Err(Ended::Lost("the hub greeted twice".to_owned()));
            }
        }
        Ok(())
    }

    fn pass_on(&mut self, consumer: LocalId, letter: Letter, line: &mut Line) {
        let (epoch, message) = (self.epoch, letter.message);
        if !self.consumers.deliver(consumer, Incoming { epoch, letter }) {
            self.return_message(consumer, message, Some(line));
        }
    }

    fn answered(&mut self, asked: Asked, result: Result<Answer, Failure>) -> Result<(), Ended> {
        match asked {
            Asked::Request(reply) => reply.send(result),
            Asked::Consume(id) => self.consumers.live(id, result.map(drop)),
            Asked::Subscribe(sub) => match result {
                Ok(_) => self.subscriptions.live(sub),
                Err(failure) => {
                    // Its stream ends, and whoever waits for it hears that nothing was subscribed.
                    warn!(%failure, "the hub refused a subscription");
                    self.subscriptions.remove(sub);
                }
            },
            Asked::Goodbye => return Err(Ended::Over),
        }
        Ok(())
    }

    fn on_tick(&mut self, heard: Instant, line: &mut Line) -> Result<(), Ended> {
        if heard.elapsed() >= SILENCE {
            farewell(line);
            let text = format!("the hub was silent for {} s", SILENCE.as_secs());
            return Err(Ended::Lost(text));
        }
        self.subscriptions.catch_up();
        match line.writer.put(&ClientFrame::Ping) {
            Ok(()) => Ok(()),
            Err(error) => lost_by(Err(error)),
        }
    }
}

/// Tells a hub that only stood still, should it go on, that this process lives: what it was delivered is not suspect then.
fn farewell(line: &mut Line) {
    let goodbye = ClientFrame::Request(0, Requested::Goodbye);
    // It may have no room for that, or be gone.
    if line.writer.put(&goodbye).is_ok() {
        drop(line.writer.flush().now_or_never());
    }
}

fn lost_by(result: io::Result<()>) -> Result<(), Ended> {
    result.map_err(|error| {
        debug!(%error, "the connection to the hub failed");
        Ended::Lost(format!("the connection to the hub failed: {error}"))
    })
}
