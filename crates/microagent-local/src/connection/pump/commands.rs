//! Handles the commands of the handles, over the connection if there is one.
//!
//! Without a connection requests wait for one, subscriptions and consumers begin with the next one, and everything that belongs
//! to an earlier one has ended with it.

use microagent_core::{Result, ledger::MessageId};
use tokio::sync::oneshot;

use super::{Pump, serve::Ended};
use crate::{
    connection::{
        command::{Command, Epoch, Reply, SessionId},
        dial::Line,
        pending::Asked,
    },
    error::too_late,
    protocol::{ClientFrame, LocalId, Requested, WireSettlement},
};

impl Pump {
    /// Handles a command.
    ///
    /// # Errors
    /// [`Ended::Over`] if the connection is to end.
    pub(super) fn handle_command(
        &mut self,
        command: Command,
        line: Option<&mut Line>,
    ) -> Result<(), Ended> {
        match command {
            Command::Request(requested, reply) => match line {
                Some(line) => self.request(requested, Asked::Request(reply), line),
                None => self.held.add(requested, reply),
            },
            Command::Settle {
                epoch,
                consumer,
                message,
                settlement,
                done,
            } => self.settle((epoch, consumer, message), settlement, done, line),
            Command::Subscribe {
                sub,
                session,
                pattern,
                mailbox,
            } => {
                let request = Requested::Subscribe {
                    sub,
                    pattern: pattern.clone(),
                };
                self.subscriptions.insert(sub, session, pattern, mailbox);
                if let Some(line) = line {
                    self.request(request, Asked::Subscribe(sub), line);
                }
            }
            Command::Unsubscribe(sub) => {
                if self.subscriptions.remove(sub) {
                    self.tell(Requested::Unsubscribe { sub }, line);
                }
            }
            Command::Consume(id, consumer) => {
                let request = consumer.request(id);
                self.consumers.insert(id, consumer);
                if let Some(line) = line {
                    self.request(request, Asked::Consume(id), line);
                }
            }
            Command::Cancel { consumer, unread } => self.cancel(consumer, unread, line),
            Command::Close(session, done) => self.close(session, done, line),
            Command::Goodbye(done) => {
                self.leaving.push(done);
                match line {
                    Some(line) => self.request(Requested::Goodbye, Asked::Goodbye, line),
                    None => return Err(Ended::Over),
                }
            }
            Command::Crash => return Err(Ended::Over),
        }
        Ok(())
    }

    pub(super) fn request(&mut self, requested: Requested, asked: Asked, line: &mut Line) {
        let id = self.pending.add(asked);
        if let Err(error) = line.writer.put(&ClientFrame::Request(id, requested)) {
            self.pending.refuse(id, &error);
        }
    }

    /// Tells the hub something whose answer nobody needs. A hub that is not reached has forgotten what it is about.
    fn tell(&mut self, requested: Requested, line: Option<&mut Line>) {
        if let Some(line) = line {
            self.request(requested, Asked::Request(Reply::Nobody), line);
        }
    }

    fn settle(
        &mut self,
        (epoch, consumer, message): (Epoch, LocalId, MessageId),
        settlement: WireSettlement,
        done: oneshot::Sender<Result<()>>,
        line: Option<&mut Line>,
    ) {
        let Some(line) = line.filter(|_| epoch == self.epoch) else {
            let _ = done.send(Err(too_late()));
            return;
        };
        let request = Requested::Settle {
            consumer,
            message,
            settlement,
        };
        self.request(request, Asked::Request(Reply::Done(done)), line);
    }

    /// Ends a consumer before what it did not read goes back, so that it does not get it again.
    fn cancel(
        &mut self,
        consumer: LocalId,
        unread: Vec<(Epoch, MessageId)>,
        mut line: Option<&mut Line>,
    ) {
        if !self.consumers.remove(consumer) {
            return;
        }
        let cancel = Requested::Cancel {
            consumer,
            give_back: false,
        };
        self.tell(cancel, line.as_deref_mut());
        for (epoch, message) in unread {
            if epoch == self.epoch {
                self.return_message(consumer, message, line.as_deref_mut());
            }
        }
    }

    /// Returns a delivery that no handler has seen.
    pub(super) fn return_message(
        &mut self,
        consumer: LocalId,
        message: MessageId,
        line: Option<&mut Line>,
    ) {
        let request = Requested::Settle {
            consumer,
            message,
            settlement: WireSettlement::Return,
        };
        self.tell(request, line);
    }

    fn close(
        &mut self,
        session: SessionId,
        done: oneshot::Sender<Result<()>>,
        mut line: Option<&mut Line>,
    ) {
        for sub in self.subscriptions.close(session) {
            self.tell(Requested::Unsubscribe { sub }, line.as_deref_mut());
        }
        for consumer in self.consumers.close(session) {
            let cancel = Requested::Cancel {
                consumer,
                give_back: true,
            };
            self.tell(cancel, line.as_deref_mut());
        }
        match line {
            Some(line) => self.request(Requested::Flush, Asked::Request(Reply::Done(done)), line),
            None => drop(done.send(Ok(()))),
        }
    }
}
