//! Handles the commands of the handles, with or without a connection.
//!
//! Without a connection, requests wait for one, and subscriptions and consumers begin with the next one.
//! Everything of an earlier connection has ended with it.

use microagent_core::{Result, ledger::MessageId};
use tokio::sync::oneshot;

use super::{ConnectionTask, serve::EndReason};
use crate::{
    connection::{
        command::{Command, Epoch, Reply, SessionId},
        dial::HubStream,
        pending::PendingRequest,
    },
    error::too_late,
    protocol::{ClientFrame, LocalId, Request, WireSettlement},
};

impl ConnectionTask {
    /// Handles a command.
    ///
    /// # Errors
    /// [`EndReason::Unused`] if the connection must end.
    pub(super) fn handle_command(
        &mut self,
        command: Command,
        stream: Option<&mut HubStream>,
    ) -> Result<(), EndReason> {
        match command {
            Command::Request(request, reply) => match stream {
                Some(stream) => self.request(request, PendingRequest::Request(reply), stream),
                None => self.waiting.add(request, reply),
            },
            Command::Settle {
                epoch,
                consumer,
                message,
                settlement,
                done,
            } => self.settle((epoch, consumer, message), settlement, done, stream),
            Command::Subscribe {
                sub,
                session,
                pattern,
                mailbox,
            } => {
                let request = Request::Subscribe {
                    sub,
                    pattern: pattern.clone(),
                };
                self.subscriptions.insert(sub, session, pattern, mailbox);
                if let Some(stream) = stream {
                    self.request(request, PendingRequest::Subscribe(sub), stream);
                }
            }
            Command::Unsubscribe(sub) => {
                if self.subscriptions.remove(sub) {
                    self.tell(Request::Unsubscribe { sub }, stream);
                }
            }
            Command::Consume(id, consumer) => {
                let request = consumer.request(id);
                self.consumers.insert(id, consumer);
                if let Some(stream) = stream {
                    self.request(request, PendingRequest::Consume(id), stream);
                }
            }
            Command::Cancel { consumer, unread } => self.cancel(consumer, unread, stream),
            Command::Close(session, done) => self.close(session, done, stream),
            Command::Goodbye(done) => {
                self.leaving.push(done);
                match stream {
                    Some(stream) => self.request(Request::Goodbye, PendingRequest::Goodbye, stream),
                    None => return Err(EndReason::Unused),
                }
            }
            Command::Crash => return Err(EndReason::Unused),
        }
        Ok(())
    }

    pub(super) fn request(
        &mut self,
        request: Request,
        asked: PendingRequest,
        stream: &mut HubStream,
    ) {
        let id = self.pending.add(asked);
        if let Err(error) = stream.writer.put(&ClientFrame::Request(id, request)) {
            self.pending.refuse(id, &error);
        }
    }

    /// Sends a request whose answer nobody needs. Without a connection there is nothing to send: the hub has
    /// forgotten the subject.
    fn tell(&mut self, request: Request, stream: Option<&mut HubStream>) {
        if let Some(stream) = stream {
            self.request(request, PendingRequest::Request(Reply::Nobody), stream);
        }
    }

    fn settle(
        &mut self,
        (epoch, consumer, message): (Epoch, LocalId, MessageId),
        settlement: WireSettlement,
        done: oneshot::Sender<Result<()>>,
        stream: Option<&mut HubStream>,
    ) {
        let Some(stream) = stream.filter(|_| epoch == self.epoch) else {
            let _ = done.send(Err(too_late()));
            return;
        };
        let request = Request::Settle {
            consumer,
            message,
            settlement,
        };
        self.request(request, PendingRequest::Request(Reply::Done(done)), stream);
    }

    /// Cancels a consumer, then returns its unread messages, so that the hub does not deliver them to it again.
    fn cancel(
        &mut self,
        consumer: LocalId,
        unread: Vec<(Epoch, MessageId)>,
        mut stream: Option<&mut HubStream>,
    ) {
        if !self.consumers.remove(consumer) {
            return;
        }
        let cancel = Request::Cancel {
            consumer,
            give_back: false,
        };
        self.tell(cancel, stream.as_deref_mut());
        for (epoch, message) in unread {
            if epoch == self.epoch {
                self.return_message(consumer, message, stream.as_deref_mut());
            }
        }
    }

    /// Returns a delivery that no handler has seen.
    pub(super) fn return_message(
        &mut self,
        consumer: LocalId,
        message: MessageId,
        stream: Option<&mut HubStream>,
    ) {
        let request = Request::Settle {
            consumer,
            message,
            settlement: WireSettlement::Return,
        };
        self.tell(request, stream);
    }

    fn close(
        &mut self,
        session: SessionId,
        done: oneshot::Sender<Result<()>>,
        mut stream: Option<&mut HubStream>,
    ) {
        for sub in self.subscriptions.close(session) {
            self.tell(Request::Unsubscribe { sub }, stream.as_deref_mut());
        }
        for consumer in self.consumers.close(session) {
            let cancel = Request::Cancel {
                consumer,
                give_back: true,
            };
            self.tell(cancel, stream.as_deref_mut());
        }
        match stream {
            Some(stream) => self.request(
                Request::Flush,
                PendingRequest::Request(Reply::Done(done)),
                stream,
            ),
            None => drop(done.send(Ok(()))),
        }
    }
}
