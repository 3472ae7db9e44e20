//! Serves a connection while it is up: commands become frames; frames become answers, events and deliveries.

use std::{io, mem, pin::pin};

use futures_util::{FutureExt, StreamExt};
use microagent_core::Result;
use tokio::{
    sync::oneshot,
    task::yield_now,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use super::ConnectionTask;
use crate::{
    connection::{
        command::{Answer, Command},
        consumers::IncomingDelivery,
        dial::HubStream,
        pending::PendingRequest,
    },
    protocol::{ClientFrame, Failure, HubFrame, LocalId, PING, Request, SILENCE, WireMessage},
};

/// The maximum number of commands or frames that are taken at once.
const TURN: usize = 256;

/// With this many commands a system call pays off; waiting for more would only leave the hub idle.
const FLUSH_AT: usize = 128;

/// The reason for which serving a connection has ended.
pub(super) enum EndReason {
    /// The connection was lost and is dialled again. The text is for errors and logs.
    Lost(String),
    /// The connection has no users left.
    Unused,
}

impl ConnectionTask {
    /// Serves until the connection is lost or no longer used.
    pub(super) async fn serve(&mut self, mut stream: HubStream) -> EndReason {
        self.resume(&mut stream);
        let mut last_frame = Instant::now();
        let mut last_tick = last_frame;
        let mut ping = pin!(interval(PING));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commands = Vec::with_capacity(TURN);
        loop {
            let step = tokio::select! {
                biased;
                flushed = stream.writer.flush(), if !stream.writer.is_empty() => lost_by(flushed),
                taken = self.commands.recv_many(&mut commands, TURN), if !stream.writer.is_full() => {
                    self.drain_commands(taken, &mut commands, &mut stream).await
                }
                frame = stream.reader.next() => {
                    last_frame = Instant::now();
                    self.handle_frames(frame, &mut stream)
                }
                _ = ping.tick() => {
                    // This process itself may have been stopped. Frames that have arrived meanwhile are read
                    // before the hub is judged silent.
                    if mem::replace(&mut last_tick, Instant::now()).elapsed() > 2 * PING {
                        last_frame = Instant::now();
                    }
                    self.on_tick(last_frame, &mut stream)
                }
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    /// Repeats the requests that the hub of the earlier connection knew, and sends those that waited for a
    /// connection.
    fn resume(&mut self, stream: &mut HubStream) {
        for (sub, pattern) in self.subscriptions.patterns() {
            let request = Request::Subscribe { sub, pattern };
            self.request(request, PendingRequest::Subscribe(sub), stream);
        }
        for (consumer, request) in self.consumers.requests() {
            self.request(request, PendingRequest::Consume(consumer), stream);
        }
        for (request, reply) in self.waiting.take() {
            self.request(request, PendingRequest::Request(reply), stream);
        }
    }

    /// Handles the commands, and those of tasks that were about to run, so that one system call sends them all.
    async fn drain_commands(
        &mut self,
        taken: usize,
        commands: &mut Vec<Command>,
        stream: &mut HubStream,
    ) -> Result<(), EndReason> {
        if taken == 0 {
            // All handles were dropped without closing; their messages are returned all the same.
            let (done, _) = oneshot::channel();
            return self.handle_command(Command::Goodbye(done), Some(stream));
        }
        let mut gathered = 0;
        while !commands.is_empty() {
            gathered += commands.len();
            for command in commands.drain(..) {
                self.handle_command(command, Some(stream))?;
            }
            if stream.writer.is_full() || gathered >= FLUSH_AT {
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

    /// Handles a frame, and those that have arrived with it.
    fn handle_frames(
        &mut self,
        first: Option<io::Result<HubFrame>>,
        stream: &mut HubStream,
    ) -> Result<(), EndReason> {
        let mut next = Some(first);
        let mut left = TURN;
        while let Some(frame) = next {
            match frame {
                Some(Ok(frame)) => self.handle_frame(frame, stream)?,
                Some(Err(error)) => return lost_by(Err(error)),
                None => return Err(EndReason::Lost("the hub closed the connection".to_owned())),
            }
            left -= 1;
            next = if left > 0 {
                stream.reader.next().now_or_never()
            } else {
                None
            };
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: HubFrame, stream: &mut HubStream) -> Result<(), EndReason> {
        match frame {
            HubFrame::Done(id, result) => {
                if let Some(asked) = self.pending.take(id) {
                    return self.answered(asked, result.map(|()| Answer::Done));
                }
            }
            HubFrame::AllDone(first, last) => {
                for id in first..=last {
                    let Some(asked) = self.pending.take(id) else {
                        // A hub that counts wrongly must not keep this process busy.
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
            HubFrame::Channels(id, channels) => {
                if let Some(asked) = self.pending.take(id) {
                    return self.answered(asked, Ok(Answer::Channels(channels)));
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
            } => self.subscriptions.receive(sub, &channel, payload),
            HubFrame::Gap { sub, count, lasted } => {
                self.subscriptions.missed(sub, count, lasted);
            }
            HubFrame::Delivery { consumer, message } => self.deliver(consumer, message, stream),
            HubFrame::Shown { request, message } => self.pending.show(request, message),
            HubFrame::Pong => {}
            HubFrame::Welcome { .. } => {
                return Err(EndReason::Lost("the hub sent a second greeting".to_owned()));
            }
        }
        Ok(())
    }

    fn deliver(&mut self, consumer: LocalId, message: WireMessage, stream: &mut HubStream) {
        let (epoch, id) = (self.epoch, message.id);
        if !self
            .consumers
            .deliver(consumer, IncomingDelivery { epoch, message })
        {
            self.return_message(consumer, id, Some(stream));
        }
    }

    fn answered(
        &mut self,
        asked: PendingRequest,
        result: Result<Answer, Failure>,
    ) -> Result<(), EndReason> {
        match asked {
            PendingRequest::Request(reply) => reply.send(result),
            PendingRequest::Consume(id) => self.consumers.live(id, result.map(drop)),
            PendingRequest::Subscribe(sub) => match result {
                Ok(_) => self.subscriptions.live(sub),
                Err(failure) => {
                    // Its stream ends, and its subscriber gets an error.
                    warn!(%failure, "the hub rejected a subscription; its stream ends");
                    self.subscriptions.remove(sub);
                }
            },
            PendingRequest::Goodbye => return Err(EndReason::Unused),
        }
        Ok(())
    }

    fn on_tick(&mut self, last_frame: Instant, stream: &mut HubStream) -> Result<(), EndReason> {
        if last_frame.elapsed() >= SILENCE {
            send_goodbye(stream);
            let text = format!("the hub was silent for {} s", SILENCE.as_secs());
            return Err(EndReason::Lost(text));
        }
        self.subscriptions.catch_up();
        match stream.writer.put(&ClientFrame::Ping) {
            Ok(()) => Ok(()),
            Err(error) => lost_by(Err(error)),
        }
    }
}

/// Says goodbye to a hub that may only be stopped. If it continues, it knows that this process lives, and its
/// messages are not suspect.
fn send_goodbye(stream: &mut HubStream) {
    let goodbye = ClientFrame::Request(0, Request::Goodbye);
    // The socket may be full or closed.
    if stream.writer.put(&goodbye).is_ok() {
        drop(stream.writer.flush().now_or_never());
    }
}

fn lost_by(result: io::Result<()>) -> Result<(), EndReason> {
    result.map_err(|error| {
        debug!(%error, "the connection to the hub failed");
        EndReason::Lost(format!("the connection to the hub failed: {error}"))
    })
}
