//! The queues of a `memory://` server: the ledger behind one lock, and where its deliveries go.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use foldhash::HashMap;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::mailbox::Mailbox;
use crate::{
    Clock, Delivery, Error, ErrorKind, Message, Queue, Result, Settle, SettleFuture, Settlement,
    clock::later,
    driver::lock,
    header,
    ledger::{ConsumerId, Ledger, MessageId, PeerId, Position},
};

/// All queues of a server.
#[derive(Debug, Default)]
pub(in crate::memory) struct Queues {
    state: Mutex<State>,
    /// The next delayed message is another, perhaps due before what consumers wait for.
    pub(super) rescheduled: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) ledger: Ledger<Message>,
    pub(super) mailboxes: HashMap<ConsumerId, Slot>,
    last_id: u64,
    /// When the next delayed message is due, as far as consumers know.
    next_due: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Slot {
    peer: PeerId,
    clock: Arc<dyn Clock>,
    sender: mpsc::UnboundedSender<Delivery>,
}

impl State {
    /// Ids of messages, consumers and peers.
    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn close_mailboxes(&mut self, peer: PeerId) -> Vec<Slot> {
        self.mailboxes
            .extract_if(|_, slot| slot.peer == peer)
            .map(|(_, slot)| slot)
            .collect()
    }
}

pub(super) type Guard<'a> = std::sync::MutexGuard<'a, State>;

impl Queues {
    pub(super) fn state(&self) -> Guard<'_> {
        lock(&self.state)
    }

    pub(super) fn open_mailbox(
        self: &Arc<Self>,
        queue: &Queue,
        peer: PeerId,
        clock: Arc<dyn Clock>,
        prefetch: usize,
    ) -> Mailbox {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let mut state = self.state();
        let consumer = ConsumerId(state.new_id());
        let slot = Slot {
            peer,
            clock,
            sender,
        };
        state.mailboxes.insert(consumer, slot);
        state.ledger.join(consumer, peer, queue.name(), prefetch);
        self.hand_out(state);
        Mailbox::new(self.clone(), consumer, deliveries)
    }

    /// Puts what can be handed out into mailboxes. Every change of the ledger ends here.
    pub(super) fn hand_out(self: &Arc<Self>, mut state: Guard<'_>) {
        let State {
            ledger, mailboxes, ..
        } = &mut *state;
        let mut undeliverable = Vec::new();
        while let Some(handed) = ledger.hand_out() {
            let (Some(entry), Some(slot)) =
                (ledger.get(handed.id), mailboxes.get(&handed.consumer))
            else {
                continue;
            };
            let settle = Settler {
                queues: self.clone(),
                id: handed.id,
                peer: slot.peer,
                clock: Arc::clone(&slot.clock),
            };
            let delivery = Delivery::new(entry.item.clone(), Box::new(settle));
            undeliverable.extend(slot.sender.send(delivery).err());
        }
        let next_due = ledger.next_due();
        if std::mem::replace(&mut state.next_due, next_due) != next_due {
            self.rescheduled.notify_waiters();
        }
        drop(state);
        // A mailbox that is being dropped: they go back, which takes the lock.
        drop(undeliverable);
    }

    fn settle(self: &Arc<Self>, settler: &Settler, settlement: Settlement) -> Result<()> {
        let (id, now) = (settler.id, || settler.clock.now());
        let mut state = self.state();
        let Some(mut entry) = state.ledger.take(id, settler.peer) else {
            let text = "the connection ended before the settlement; the message is delivered again";
            return Err(Error::new(ErrorKind::Unavailable, text));
        };
        match settlement {
            Settlement::Ack => {}
            Settlement::Return => state.ledger.put_back(id, entry, Position::Head),
            Settlement::Retry { after, .. } => {
                entry.item = failed(entry.item, now);
                let due = later(Instant::now(), after);
                state.ledger.put_back(id, entry, Position::Delayed(due));
            }
            Settlement::DeadLetter {
                queue,
                reason,
                detail,
            } => {
                let headers = header::of_dead_letter(&entry.item, reason, &detail, now());
                let mut dead = Message::new(queue.as_str(), entry.item.payload().clone());
                dead = dead.with_id(entry.item.id().unwrap_or_default());
                if let Some(sent_at) = entry.item.sent_at() {
                    dead = dead.with_sent_at(sent_at);
                }
                let dead = headers
                    .into_iter()
                    .fold(dead, |dead, (name, value)| dead.with_header(name, value));
                state.ledger.put(id, &queue, dead, Position::Tail);
            }
        }
        self.hand_out(state);
        Ok(())
    }

    pub(super) fn length(&self, queue: &Queue) -> u64 {
        let mut state = self.state();
        state.ledger.wake(Instant::now());
        state.ledger.length(queue.name()) as u64
    }

    /// Lets due messages wait in their queues, and says when the next one is due.
    pub(super) fn wake(self: &Arc<Self>) -> Option<Instant> {
        let mut state = self.state();
        state.ledger.wake(Instant::now());
        let next = state.ledger.next_due();
        self.hand_out(state);
        next
    }
}

/// The message as its next handling.
fn failed(message: Message, now: impl FnOnce() -> SystemTime) -> Message {
    let (attempt, first) = (message.attempt() + 1, message.first_failure());
    message
        .with_attempt(attempt)
        .with_first_failure(first.unwrap_or_else(now))
}

struct Settler {
    queues: Arc<Queues>,
    id: MessageId,
    peer: PeerId,
    clock: Arc<dyn Clock>,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, _message: &Message, settlement: Settlement) -> SettleFuture {
        SettleFuture::done(self.queues.settle(&self, settlement))
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
