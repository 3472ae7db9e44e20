//! Which signals a bus hears, for which receivers: one subscription per signal, whatever the number of agents.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard},
};

use futures_util::{StreamExt, stream::BoxStream};
use microagent_schema::SignalDeclaration;
use tokio::task::JoinHandle;
use tracing::warn;

use super::{Bus, handle::WeakBus};
use crate::{
    BusEvent, Channel, Error, ErrorKind, Gap, Result,
    dispatch::receive::{self, BoundReceiver, Hearing},
};

/// What an agent wants to be told when its bus was deaf.
pub(crate) type OnGap = Arc<dyn Fn(&Gap) + Send + Sync>;

/// The signals that a bus hears now.
#[derive(Default)]
pub(crate) struct Listening {
    channels: tokio::sync::Mutex<HashMap<String, HeardChannel>>,
    agents: Mutex<HashSet<&'static str>>,
    gaps: Mutex<Gaps>,
}

#[derive(Default)]
struct Gaps {
    /// Each subscription tells of the same loss and the same gap; only the first of each counts.
    deaf: bool,
    listeners: Vec<(&'static str, OnGap)>,
}

struct HeardChannel {
    receivers: Receivers,
    reader: JoinHandle<()>,
}

/// Replaced as a whole when an agent comes or goes, so that reading it for each message is cheap.
type Receivers = Arc<RwLock<Arc<[Arc<BoundReceiver>]>>>;

/// One receiver of an agent, on its way to a bus.
pub(crate) struct Binding {
    pub(crate) signal: &'static str,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) declaration: &'static SignalDeclaration,
    pub(crate) receiver: Arc<BoundReceiver>,
}

impl Listening {
    /// Takes an agent type in; a second one of the type could not be told apart in answers.
    pub(crate) fn enter(&self, agent: &'static str, on_gap: OnGap) -> Result<()> {
        if !lock(&self.agents).insert(agent) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "two `{agent}` on one bus handle: their answers could not be told apart; connect a bus for each"
                ),
            ));
        }
        lock(&self.gaps).listeners.push((agent, on_gap));
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
        let receivers: Receivers = Arc::new(RwLock::new(Arc::new([binding.receiver])));
        let hearing = Arc::new(Hearing {
            name: binding.signal.into(),
            declaration: binding.declaration,
            strict: bus.is_strict(),
        });
        let reader = tokio::spawn(read(bus.weak(), events, hearing, Arc::clone(&receivers)));
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
        lock(&self.gaps)
            .listeners
            .retain(|(known, _)| *known != agent);
        lock(&self.agents).remove(agent);
    }

    /// Stops hearing, when the bus is closed.
    pub(crate) async fn clear(&self) {
        let mut channels = self.channels.lock().await;
        end(channels.drain().map(|(_, heard)| heard).collect()).await;
    }

    fn lost(&self, reason: &str) {
        if !std::mem::replace(&mut lock(&self.gaps).deaf, true) {
            warn!(
                reason,
                "bus connection lost: signals are not heard until it is back"
            );
        }
    }

    fn gap(&self, gap: &Gap) {
        let mut gaps = lock(&self.gaps);
        if !std::mem::replace(&mut gaps.deaf, false) {
            return;
        }
        let listeners: Vec<_> = gaps
            .listeners
            .iter()
            .map(|(_, listener)| Arc::clone(listener))
            .collect();
        drop(gaps);
        warn!(lasted = ?gap.lasted, reason = gap.reason, "bus connection is back: signals sent meanwhile were not heard");
        listeners.iter().for_each(|listener| listener(gap));
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

async fn read(
    bus: WeakBus,
    mut events: BoxStream<'static, BusEvent>,
    hearing: Arc<Hearing>,
    receivers: Receivers,
) {
    while let Some(event) = events.next().await {
        let Some(bus) = bus.upgrade() else {
            return;
        };
        match event {
            BusEvent::Message(published) => {
                let now = Arc::clone(&receivers.read().unwrap_or_else(PoisonError::into_inner));
                receive::hear(&bus, &hearing, &now, &published);
            }
            BusEvent::Lost(reason) => bus.listening().lost(&reason),
            BusEvent::Gap(gap) => bus.listening().gap(&gap),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
