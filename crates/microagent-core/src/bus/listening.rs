//! Which signals a bus hears, for which receivers: one subscription per signal, whatever the number of agents.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, stream::BoxStream};
use microagent_schema::SignalDeclaration;
use tokio::task::JoinHandle;
use tracing::warn;

use super::{Bus, handle::WeakBus};
use crate::{
    BusEvent, Channel, Error, ErrorKind, Gap, Result,
    dispatch::receive::{self, BoundReceiver, Hearing},
    driver::lock,
};

/// What an agent is told of the bus that it listens to.
#[derive(Clone)]
pub(crate) struct Listener {
    /// The bus was deaf, and hears again.
    pub(crate) on_gap: OnGap,
    /// The agent hears a signal of its own no more, and never will again.
    pub(crate) on_end: OnEnd,
}

pub(crate) type OnGap = Arc<dyn Fn(&Gap) + Send + Sync>;
pub(crate) type OnEnd = Arc<dyn Fn(Error) + Send + Sync>;

/// The signals that a bus hears now.
#[derive(Default)]
pub(crate) struct Listening {
    channels: tokio::sync::Mutex<HashMap<String, HeardChannel>>,
    agents: Mutex<BTreeMap<&'static str, Listener>>,
    /// Each subscription tells of the same loss and the same gap; only the first of each counts.
    deaf: AtomicBool,
}

struct HeardChannel {
    receivers: ReceiverList,
    reader: JoinHandle<()>,
}

/// Replaced as a whole when an agent comes or goes, so that reading it for each message is cheap.
type ReceiverList = Arc<RwLock<Arc<[Arc<BoundReceiver>]>>>;

/// One receiver of an agent, on its way to a bus.
pub(crate) struct Binding {
    pub(crate) signal: &'static str,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) declaration: &'static SignalDeclaration,
    pub(crate) receiver: Arc<BoundReceiver>,
}

impl Listening {
    /// Takes an agent type in; a second one of the type could not be told apart in answers.
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
        if let Some(heard) = channels.get(&pattern) {
            let mut receivers = write(&heard.receivers);
            *receivers = receivers
                .iter()
                .cloned()
                .chain([binding.receiver])
                .collect();
            return Ok(());
        }
        let events = bus.driver().subscribe(&pattern).await?;
        let receivers: ReceiverList = Arc::new(RwLock::new(Arc::new([binding.receiver])));
        let hearing = Arc::new(Hearing {
            name: binding.signal.into(),
            declaration: binding.declaration,
            strict: bus.is_strict(),
        });
        let subscription = Subscription {
            pattern: pattern.clone(),
            hearing,
            receivers: Arc::clone(&receivers),
        };
        let reader = tokio::spawn(read(bus.weak(), events, subscription));
        channels.insert(pattern, HeardChannel { receivers, reader });
        Ok(())
    }

    /// Forgets all receivers of an agent, and the signals that nobody hears any more.
    pub(crate) async fn leave(&self, agent: &'static str) {
        let mut channels = self.channels.lock().await;
        let unheard = channels.extract_if(|_, heard| {
            let mut receivers = write(&heard.receivers);
            *receivers = receivers
                .iter()
                .filter(|receiver| receiver.agent != agent)
                .cloned()
                .collect();
            receivers.is_empty()
        });
        end(unheard.map(|(_, heard)| heard).collect()).await;
        lock(&self.agents).remove(agent);
    }

    /// Stops hearing, when the bus is closed. Agents that still live hear of it.
    pub(crate) async fn clear(&self) {
        let mut channels = self.channels.lock().await;
        let heard: HashMap<_, _> = channels.drain().collect();
        for (pattern, heard) in &heard {
            self.tell_end(pattern, &heard.receivers, "the bus was closed");
        }
        end(heard.into_values().collect()).await;
    }

    /// A subscription has ended by itself: the signal can be heard again only by binding anew.
    async fn ended(&self, subscription: &Subscription) {
        let mut channels = self.channels.lock().await;
        channels.remove(&subscription.pattern);
        drop(channels);
        let reason = "its subscription has ended";
        self.tell_end(&subscription.pattern, &subscription.receivers, reason);
    }

    fn tell_end(&self, pattern: &str, receivers: &ReceiverList, reason: &str) {
        let deaf: BTreeSet<_> = now(receivers)
            .iter()
            .map(|receiver| receiver.agent)
            .collect();
        let listeners = lock(&self.agents).clone();
        for agent in deaf {
            let text = format!("`{pattern}` is not heard any more: {reason}");
            if let Some(listener) = listeners.get(agent) {
                (listener.on_end)(Error::new(ErrorKind::Closed, text));
            }
        }
    }

    fn lost(&self, reason: &str) {
        if !self.deaf.swap(true, Ordering::AcqRel) {
            warn!(
                reason,
                "bus connection lost: signals are not heard until it is back"
            );
        }
    }

    fn gap(&self, gap: &Gap) {
        if !self.deaf.swap(false, Ordering::AcqRel) {
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
            .for_each(|heard| heard.reader.abort());
    }
}

/// Ends subscriptions; they are over when it returns.
async fn end(channels: Vec<HeardChannel>) {
    for heard in &channels {
        heard.reader.abort();
    }
    for heard in channels {
        // It is an error for a task to have been cancelled, and that was wanted.
        let _ = heard.reader.await;
    }
}

/// What a reader knows of its subscription.
struct Subscription {
    pattern: String,
    hearing: Arc<Hearing>,
    receivers: ReceiverList,
}

async fn read(bus: WeakBus, mut events: BoxStream<'static, BusEvent>, subscription: Subscription) {
    while let Some(event) = events.next().await {
        let Some(bus) = bus.upgrade() else {
            return;
        };
        match event {
            BusEvent::Message(published) => {
                let now = now(&subscription.receivers);
                receive::hear(&bus, &subscription.hearing, &now, &published);
            }
            BusEvent::Lost(reason) => bus.listening().lost(&reason),
            BusEvent::Gap(gap) => bus.listening().gap(&gap),
        }
    }
    if let Some(bus) = bus.upgrade() {
        bus.listening().ended(&subscription).await;
    }
}

fn now(receivers: &ReceiverList) -> Arc<[Arc<BoundReceiver>]> {
    Arc::clone(&receivers.read().unwrap_or_else(PoisonError::into_inner))
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
