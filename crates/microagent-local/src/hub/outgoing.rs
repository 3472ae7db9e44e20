//! The way to a peer, and what may be on it.
//!
//! Everything that waits for a slow peer is bounded in bytes: replies by the [window](FrameSender::window) of the requests that they
//! answer, messages by what is [lent](DeliveryWindow), and signals by [`MAX_WAITING`], beyond which they are missed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::{Semaphore, mpsc};

use crate::protocol::HubFrame;

/// The most bytes of signals that wait for one peer.
pub(super) const MAX_WAITING: usize = 16 * 1024 * 1024;

/// From so many bytes of messages on their way to one peer on, no more are sent on it.
pub(super) const MAX_DELIVERY_WINDOW: usize = 16 * 1024 * 1024;

/// How much a connection may have under way, in the units of a request's weight: 64 MiB, or as many small requests.
pub(super) const WINDOW: u32 = 64 * 1024;

/// The size of a signal without its payload.
const EVENT: usize = 128;

/// The hub's end of the way.
#[derive(Clone, Debug)]
pub(super) struct FrameSender {
    frames: mpsc::UnboundedSender<OutgoingFrame>,
    signals: Arc<AtomicUsize>,
    window: Arc<Semaphore>,
    lent: Arc<DeliveryWindow>,
}

/// A frame on its way, and what is free again when it has gone.
#[derive(Debug)]
pub(super) struct OutgoingFrame {
    pub(super) frame: HubFrame,
    weight: u32,
    lent: usize,
}

/// A way out that does not keep the peer's connection open.
#[derive(Clone, Debug)]
pub(super) struct WeakFrameSender(mpsc::WeakUnboundedSender<OutgoingFrame>);

/// The connection's end of the way.
#[derive(Debug)]
pub(super) struct FrameReceiver {
    frames: mpsc::UnboundedReceiver<OutgoingFrame>,
    signals: Arc<AtomicUsize>,
    window: Arc<Semaphore>,
    lent: Arc<DeliveryWindow>,
}

/// How many bytes of messages are on their way to a peer: they are read from the store, or wait until the peer reads them.
#[derive(Debug, Default)]
pub(super) struct DeliveryWindow {
    bytes: AtomicUsize,
    /// A message waits until there is room.
    is_wanted: AtomicBool,
}

pub(super) fn outgoing(window: Arc<Semaphore>) -> (FrameSender, FrameReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (signals, lent) = (
        Arc::<AtomicUsize>::default(),
        Arc::<DeliveryWindow>::default(),
    );
    let outgoing = FrameSender {
        frames: sender,
        signals: signals.clone(),
        window: window.clone(),
        lent: lent.clone(),
    };
    let outbox = FrameReceiver {
        frames: receiver,
        signals,
        window,
        lent,
    };
    (outgoing, outbox)
}

impl FrameSender {
    /// Sends a signal, or tells of missed ones.
    pub(super) fn signal(&self, frame: HubFrame) {
        self.signals
            .fetch_add(signal_size(&frame), Ordering::Relaxed);
        self.send(frame, 0, 0);
    }

    /// Sends the last frame of a reply; the request's weight is free when it has gone.
    pub(super) fn reply(&self, frame: HubFrame, weight: u32) {
        self.send(frame, weight, 0);
    }

    /// Sends a frame of a reply that another one ends.
    pub(super) fn part_of_reply(&self, frame: HubFrame) {
        self.send(frame, 0, 0);
    }

    /// Sends a message for which these bytes are lent.
    pub(super) fn deliver(&self, frame: HubFrame, lent: usize) {
        self.send(frame, 0, lent);
    }

    /// A request ends without a reply.
    pub(super) fn no_reply(&self, weight: u32) {
        self.window.add_permits(weight as usize);
    }

    /// Hands a frame over. If the peer is gone, the actor is told so elsewhere.
    fn send(&self, frame: HubFrame, weight: u32, lent: usize) {
        let _ = self.frames.send(OutgoingFrame {
            frame,
            weight,
            lent,
        });
    }

    pub(super) fn downgrade(&self) -> WeakFrameSender {
        WeakFrameSender(self.frames.downgrade())
    }

    pub(super) fn lent(&self) -> &Arc<DeliveryWindow> {
        &self.lent
    }

    /// Whether the peer reads too slowly to be sent more signals.
    pub(super) fn is_full(&self) -> bool {
        self.signals.load(Ordering::Relaxed) >= MAX_WAITING
    }
}

impl WeakFrameSender {
    /// Answers a ping of this weight.
    pub(super) fn pong(&self, weight: u32) {
        if let Some(frames) = self.0.upgrade() {
            let _ = frames.send(OutgoingFrame {
                frame: HubFrame::Pong,
                weight,
                lent: 0,
            });
        }
    }
}

impl FrameReceiver {
    /// Takes everything that waits, up to this many frames; none when there will be nothing more.
    pub(super) async fn next(&mut self, batch: &mut Vec<OutgoingFrame>, most: usize) -> usize {
        self.frames.recv_many(batch, most).await
    }

    /// A frame has gone. Returns whether a message waits for the room that there is now.
    pub(super) fn gone(&self, out: &OutgoingFrame) -> bool {
        let signal = signal_size(&out.frame);
        if signal > 0 {
            self.signals.fetch_sub(signal, Ordering::Relaxed);
        }
        if out.weight > 0 {
            self.window.add_permits(out.weight as usize);
        }
        out.lent > 0 && self.lent.give_back(out.lent)
    }
}

fn signal_size(frame: &HubFrame) -> usize {
    match frame {
        HubFrame::Event {
            channel, payload, ..
        } => EVENT + channel.len() + payload.len(),
        HubFrame::Gap { .. } => EVENT,
        _ => 0,
    }
}

impl DeliveryWindow {
    pub(super) fn lend(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Returns whether a message waits for the room that there is now; it is told once.
    pub(super) fn give_back(&self, bytes: usize) -> bool {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        left < MAX_DELIVERY_WINDOW / 2 && self.is_wanted.swap(false, Ordering::SeqCst)
    }

    /// Returns whether there is no room. Then [`give_back`](Self::give_back) tells when there is.
    pub(super) fn is_full(&self) -> bool {
        if self.bytes.load(Ordering::SeqCst) < MAX_DELIVERY_WINDOW {
            return false;
        }
        self.is_wanted.store(true, Ordering::SeqCst);
        // The peer may have read everything before that, and nothing would tell.
        if self.bytes.load(Ordering::SeqCst) >= MAX_DELIVERY_WINDOW / 2 {
            return true;
        }
        self.is_wanted.store(false, Ordering::SeqCst);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_once_and_only_to_those_who_wait() {
        let lent = DeliveryWindow::default();
        lent.lend(MAX_DELIVERY_WINDOW);
        assert!(!lent.give_back(MAX_DELIVERY_WINDOW), "nobody waits");
        lent.lend(MAX_DELIVERY_WINDOW - 1);
        assert!(!lent.is_full());
        lent.lend(1);
        assert!(lent.is_full());
        assert!(
            !lent.give_back(MAX_DELIVERY_WINDOW / 2),
            "it is still half full"
        );
        assert!(lent.give_back(1));
        assert!(!lent.give_back(1), "it was told");
        assert!(!lent.is_full());
    }
}
