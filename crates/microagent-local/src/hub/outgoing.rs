//! The frames to a client, and their bounds.
//!
//! Everything that waits for a slow client is bounded in bytes: replies by the [window](FrameSender::window) of
//! their requests, messages by the [`DeliveryWindow`], and signals by [`MAX_WAITING`], beyond which they are
//! dropped and counted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::{Semaphore, mpsc};

use crate::protocol::HubFrame;

/// The maximum number of bytes of signals that wait for one client.
pub(super) const MAX_WAITING: usize = 16 * 1024 * 1024;

/// The number of bytes of messages under way to one client at which no more are sent.
pub(super) const MAX_DELIVERY_WINDOW: usize = 16 * 1024 * 1024;

/// The maximum weight of the requests of a connection that are under way: 64 MiB, or as many small requests.
pub(super) const WINDOW: u32 = 64 * 1024;

/// The size of a signal without its payload.
const EVENT: usize = 128;

/// The sender of the frames to a client.
#[derive(Clone, Debug)]
pub(super) struct FrameSender {
    frames: mpsc::UnboundedSender<OutgoingFrame>,
    signals: Arc<AtomicUsize>,
    window: Arc<Semaphore>,
    lent: Arc<DeliveryWindow>,
}

/// A frame on its way, and the bounds that it releases when it was sent.
#[derive(Debug)]
pub(super) struct OutgoingFrame {
    pub(super) frame: HubFrame,
    weight: u32,
    lent: usize,
}

/// A sender that does not keep the connection open.
#[derive(Clone, Debug)]
pub(super) struct WeakFrameSender(mpsc::WeakUnboundedSender<OutgoingFrame>);

/// The receiver of the frames to a client.
#[derive(Debug)]
pub(super) struct FrameReceiver {
    frames: mpsc::UnboundedReceiver<OutgoingFrame>,
    signals: Arc<AtomicUsize>,
    window: Arc<Semaphore>,
    lent: Arc<DeliveryWindow>,
}

/// Counts the bytes of messages under way to a client: they are read from the store, or wait until the client
/// reads them.
#[derive(Debug, Default)]
pub(super) struct DeliveryWindow {
    bytes: AtomicUsize,
    /// True if a message waits for room.
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
    /// Sends a signal, or a report of dropped ones.
    pub(super) fn signal(&self, frame: HubFrame) {
        self.signals
            .fetch_add(signal_size(&frame), Ordering::Relaxed);
        self.send(frame, 0, 0);
    }

    /// Sends the last frame of a reply. The weight of the request is released when the frame was sent.
    pub(super) fn reply(&self, frame: HubFrame, weight: u32) {
        self.send(frame, weight, 0);
    }

    /// Sends a frame of a reply that has more frames.
    pub(super) fn part_of_reply(&self, frame: HubFrame) {
        self.send(frame, 0, 0);
    }

    /// Sends a message for which this many bytes are reserved.
    pub(super) fn deliver(&self, frame: HubFrame, lent: usize) {
        self.send(frame, 0, lent);
    }

    /// Releases the weight of a request that has no reply.
    pub(super) fn no_reply(&self, weight: u32) {
        self.window.add_permits(weight as usize);
    }

    /// Sends a frame. If the client has disconnected, the actor learns it elsewhere.
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

    /// Returns whether the client reads too slowly to be sent more signals.
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
    /// Takes the frames that wait, up to `most`. Returns 0 when there are no more to come.
    pub(super) async fn next(&mut self, batch: &mut Vec<OutgoingFrame>, most: usize) -> usize {
        self.frames.recv_many(batch, most).await
    }

    /// Releases the bounds of a frame that was sent. Returns whether a message waits for the room that this
    /// made.
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

    /// Releases bytes. Returns whether a message waits for the room that this made; returns true once for it.
    pub(super) fn give_back(&self, bytes: usize) -> bool {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        left < MAX_DELIVERY_WINDOW / 2 && self.is_wanted.swap(false, Ordering::SeqCst)
    }

    /// Returns whether there is no room. If so, [`give_back`](Self::give_back) reports when there is.
    pub(super) fn is_full(&self) -> bool {
        if self.bytes.load(Ordering::SeqCst) < MAX_DELIVERY_WINDOW {
            return false;
        }
        self.is_wanted.store(true, Ordering::SeqCst);
        // The client may have read everything before that, and no further call would report room.
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
