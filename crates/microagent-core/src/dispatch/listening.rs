//! The signals that a bus subscribes to, and their receivers: one subscription per signal, whatever the number of agents.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, stream::BoxStream};
use microagent_schema::SignalDeclaration;
use tokio::task::JoinHandle;
use tracing::warn;

use super::{
    receive::{self, LastSender, SubscribedSignal},
    receiver::BoundReceiver,
};
use crate::{Bus, BusEvent, Channel, Error, ErrorKind, Gap, Result, bus::WeakBus, driver::lock};

/// The most events of a subscription that are handled in one go.
const BATCH: usize = 64;

/// The callbacks of an agent that listens to a bus.
#[derive(Clone)]
pub(crate) struct Listener {
    /// The bus was disconnected, and is connected again.
    pub(crate) on_gap: OnGap,
    /// A subscription of the agent has ended, and will not come back.
    pub(crate) on_end: OnEnd,
}

pub(crate) type OnGap = Arc<dyn Fn(&Gap) + Send + Sync>;
pub(crate) type OnEnd = Arc<dyn Fn(Error) + Send + Sync>;

/// The subscriptions of a bus.
#[derive(Default)]
pub(crate) struct Listening {
    channels: tokio::sync::Mutex<HashMap<String, SubscribedChannel>>,
    agents: Mutex<BTreeMap<&'static str, Listener>>,
    /// Each subscription reports the same loss and the same gap; only the first report of each counts.
    disconnected: AtomicBool,
}

struct SubscribedChannel {
    receivers: ReceiverList,
    reader: JoinHandle<()>,
}

/// Read for each message, so that an agent that leaves gets no signal afterwards.
type ReceiverList = Arc<RwLock<Vec<Arc<BoundReceiver>>>>;

/// One receiver of an agent, on its way to a bus.
pub(crate) struct Binding {
    pub(crate) signal: &'static str,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) declaration: &'static SignalDeclaration,
    pub(crate) receiver: Arc<BoundReceiver>,
}

impl Listening {
    /// Takes an agent type in. A second agent of the type is refused: answers could not name it.
    pub(crate) fn enter(&self, agent: &'static str, listener: Listener) -> Result<()> {
        let mut agents = lock(&self.agents);
        let Entry::Vacant(place) = agents.entry(agent) else {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "two `{agent}` on one bus handle: their answers could not be told apart; connect a bus for each"
                ),
            ));
        };
        place.insert(listener);
        Ok(())
    }

    /// Binds one receiver; the subscription is live when this returns.
    pub(crate) async fn bind(&self, bus: &Bus, binding: Binding) -> Result<()> {
        let pattern = Channel::pattern_of(bus.prefix_or(binding.prefix), binding.signal);
        let mut channels = self.channels.lock().await;
        if let Some(channel) = channels.get(&pattern) {
            write(&channel.receivers).push(binding.receiver);
            return Ok(());
        }
        let events = bus.driver().subscribe(&pattern).await?;
        let receivers: ReceiverList = Arc::new(RwLock::new(vec![binding.receiver]));
        let signal = Arc::new(SubscribedSignal {
            name: binding.signal.into(),
            declaration: binding.declaration,
            strict: bus.is_strict(),
        });
        let subscription = Subscription {
            pattern: pattern.clone(),
            signal,
            receivers: Arc::clone(&receivers),
        };
        let reader = tokio::spawn(read(bus.weak(), events, subscription));
        channels.insert(pattern, SubscribedChannel { receivers, reader });
        Ok(())
    }

    /// Removes all receivers of an agent, and ends the subscriptions that have no receiver left.
    pub(crate) async fn leave(&self, agent: &'static str) {
        let mut channels = self.channels.lock().await;
        let unused = channels.extract_if(|_, channel| {
            let mut receivers = write(&channel.receivers);
            receivers.retain(|receiver| receiver.agent != agent);
            receivers.is_empty()
        });
        end(unused.map(|(_, channel)| channel).collect()).await;
        lock(&self.agents).remove(agent);
    }

    /// Ends all subscriptions when the bus is closed, and reports it to the agents that still run.
    pub(crate) async fn clear(&self) {
        let mut channels = self.channels.lock().await;
        let channels: HashMap<_, _> = channels.drain().collect();
        for (pattern, channel) in &channels {
            self.report_end(pattern, &channel.receivers, "the bus was closed");
        }
        end(channels.into_values().collect()).await;
    }

    /// Forgets a subscription that has ended by itself: the signal is received again only after another `bind`.
    async fn ended(&self, subscription: &Subscription) {
        let mut channels = self.channels.lock().await;
        channels.remove(&subscription.pattern);
        drop(channels);
        let reason = "its subscription has ended";
        self.report_end(&subscription.pattern, &subscription.receivers, reason);
    }

    fn report_end(&self, pattern: &str, receivers: &ReceiverList, reason: &str) {
        let affected: BTreeSet<_> = now(receivers)
            .iter()
            .map(|receiver| receiver.agent)
            .collect();
        let listeners = lock(&self.agents).clone();
        for agent in affected {
            let text = format!("`{pattern}` is not heard any more: {reason}");
            if let Some(listener) = listeners.get(agent) {
                (listener.on_end)(Error::new(ErrorKind::Closed, text));
            }
        }
    }

    fn lost(&self, reason: &str) {
        if !self.disconnected.swap(true, Ordering::AcqRel) {
            warn!(
                reason,
                "bus connection lost: signals are not heard until it is back"
            );
        }
    }

    fn gap(&self, gap: &Gap) {
        if !self.disconnected.swap(false, Ordering::AcqRel) {
            return;
        }
        warn!(lasted = ?gap.lasted, reason = gap.reason, "bus connection is back: signals sent meanwhile were not heard");
        let listeners = lock(&self.agents).clone();
        listeners
            .values()
            .for_each(|listener| (listener.on_gap)(gap));
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.channels
            .get_mut()
            .values()
            .for_each(|channel| channel.reader.abort());
    }
}

/// Ends subscriptions; they have ended when this returns.
async fn end(channels: Vec<SubscribedChannel>) {
    for channel in &channels {
        channel.reader.abort();
    }
    for channel in channels {
        // A cancelled task is an error for its handle, and here it is wanted.
        let _ = channel.reader.await;
    }
}

/// A subscription, as its reader needs it.
struct Subscription {
    pattern: String,
    signal: Arc<SubscribedSignal>,
    receivers: ReceiverList,
}

async fn read(bus: WeakBus, events: BoxStream<'static, BusEvent>, subscription: Subscription) {
    let mut last_sender = LastSender::default();
    let mut events = events.ready_chunks(BATCH);
    while let Some(chunk) = events.next().await {
        let Some(bus) = bus.upgrade() else {
            return;
        };
        for event in chunk {
            match event {
                BusEvent::Message(published) => {
                    let (signal, now) = (&subscription.signal, now(&subscription.receivers));
                    receive::receive(&bus, signal, &now, &mut last_sender, published);
                }
                BusEvent::Lost(reason) => bus.listening().lost(&reason),
                BusEvent::Gap(gap) => bus.listening().gap(&gap),
            }
        }
    }
    if let Some(bus) = bus.upgrade() {
        bus.listening().ended(&subscription).await;
    }
}

fn now(receivers: &ReceiverList) -> RwLockReadGuard<'_, Vec<Arc<BoundReceiver>>> {
    receivers.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
