//! A bus driver that breaks one promise.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use microagent_core::{
    BusEvent, Gap, Lease, Leases, MemoryBus, MemoryOptions, Result, SignalBus, SubscriberCount,
    driver::lock,
};
use microagent_testing::{BusServer, Cut};
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    LosesSome,
    PublishesTwice,
    ReadsText,
    SubscribesLate,
    CountsTooMany,
    StarEndsAtHash,
    HearsEverything,
    IgnoresClose,
    HidesCuts,
    LeasesToAll,
    LeasesForEver,
    LeasesUnprolonged,
    /// Which a bus may.
    OffersNoLeases,
}

type Cuts = Arc<Mutex<Vec<mpsc::UnboundedSender<BusEvent>>>>;

pub(crate) struct BrokenServer {
    options: MemoryOptions,
    fault: Fault,
    cuts: Cuts,
}

impl BrokenServer {
    pub(crate) fn new(fault: Fault) -> Result<Self> {
        let dsn = format!("memory://{:x}", fastrand::u128(..));
        Ok(Self {
            options: MemoryOptions::parse(&dsn)?,
            fault,
            cuts: Cuts::default(),
        })
    }
}

impl BusServer for BrokenServer {
    type Bus = BrokenBus;

    async fn start() -> Result<Self> {
        Self::new(Fault::None)
    }

    async fn connect(&self) -> Result<BrokenBus> {
        Ok(BrokenBus {
            inner: MemoryBus::open(&self.options),
            options: self.options.clone(),
            fault: self.fault,
            cuts: Arc::clone(&self.cuts),
            published: AtomicU64::new(0),
        })
    }

    /// Cuts no connection, and sends the events of a cut.
    async fn cut(&self) -> Result<Cut> {
        let lasted = Duration::from_secs(1);
        let reason = || "cut by the test".to_owned();
        let events = [
            BusEvent::Lost(reason()),
            BusEvent::Gap(Gap {
                lasted,
                reason: reason(),
            }),
        ];
        let cuts = std::mem::take(&mut *lock(&self.cuts));
        for subscription in cuts {
            for event in events.clone() {
                drop(subscription.send(event));
            }
        }
        Ok(Cut::Done)
    }
}

#[derive(Debug)]
pub(crate) struct BrokenBus {
    inner: MemoryBus,
    options: MemoryOptions,
    fault: Fault,
    cuts: Cuts,
    published: AtomicU64,
}

#[async_trait]
impl SignalBus for BrokenBus {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        let nth = self.published.fetch_add(1, Ordering::Relaxed);
        let payload = match self.fault {
            Fault::LosesSome if nth % 10 == 9 => return Ok(SubscriberCount::Unknown),
            Fault::ReadsText => String::from_utf8_lossy(&payload).into_owned().into(),
            _ => payload,
        };
        if self.fault == Fault::PublishesTwice {
            self.inner.publish(channel, payload.clone()).await?;
        }
        let receivers = self.inner.publish(channel, payload).await?;
        Ok(match (self.fault, receivers) {
            (Fault::CountsTooMany, SubscriberCount::Counted(count)) => {
                SubscriberCount::Counted(count + 1)
            }
            _ => receivers,
        })
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        let events = match self.fault {
            Fault::SubscribesLate => late(MemoryBus::open(&self.options), pattern.to_owned()),
            Fault::HearsEverything => self.inner.subscribe("*").await?,
            _ => self.inner.subscribe(pattern).await?,
        };
        let fault = self.fault;
        let events =
            events.filter(move |event| ready(fault != Fault::StarEndsAtHash || !has_hash(event)));
        let (tell, cuts) = mpsc::unbounded_channel();
        if self.fault != Fault::HidesCuts {
            lock(&self.cuts).push(tell);
        }
        Ok(with_cuts(events.boxed(), cuts))
    }

    fn leases(&self) -> Option<&dyn Leases> {
        (self.fault != Fault::OffersNoLeases).then_some(self)
    }

    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    async fn close(&self) -> Result<()> {
        match self.fault {
            Fault::IgnoresClose => Ok(()),
            _ => self.inner.close().await,
        }
    }
}

#[async_trait]
impl Leases for BrokenBus {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        match self.fault {
            Fault::LeasesToAll => Ok(Lease::Granted),
            Fault::LeasesUnprolonged => {
                let another = format!("{holder} {:x}", fastrand::u128(..));
                self.inner.lease(key, &another, ttl).await
            }
            Fault::LeasesForEver => self.inner.lease(key, holder, Duration::MAX).await,
            _ => self.inner.lease(key, holder, ttl).await,
        }
    }
}

/// A subscription that begins when it is first read.
fn late(bus: MemoryBus, pattern: String) -> BoxStream<'static, BusEvent> {
    let subscribing = async move {
        bus.subscribe(&pattern)
            .await
            .unwrap_or_else(|_| stream::empty().boxed())
    };
    stream::once(subscribing).flatten().boxed()
}

fn has_hash(event: &BusEvent) -> bool {
    matches!(event, BusEvent::Message(message) if message.channel.contains('#'))
}

/// Merges the events and those of the cuts. The stream ends with the events.
fn with_cuts(
    events: BoxStream<'static, BusEvent>,
    cuts: mpsc::UnboundedReceiver<BusEvent>,
) -> BoxStream<'static, BusEvent> {
    stream::unfold((events, cuts, false), |(mut events, mut cuts, mut cuts_ended)| async move {
        loop {
            tokio::select! {
                biased;
                cut = cuts.recv(), if !cuts_ended => match cut {
                    Some(event) => return Some((event, (events, cuts, cuts_ended))),
                    None => cuts_ended = true,
                },
                event = events.next() => return event.map(|event| (event, (events, cuts, cuts_ended))),
            }
        }
    })
    .boxed()
}
