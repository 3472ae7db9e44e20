//! A broker driver that breaks one promise.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    Caps, ConsumeOptions, DeclareOptions, Delivery, Depth, Lease, Leases, LengthCounts,
    MemoryBroker, MemoryOptions, Message, Queue, QueueBroker, Result, Route, Selection,
    SendOptions, Settle, SettleFuture, Settlement, driver::ConnectionState, header,
};
use microagent_testing::{BrokerServer, Cut};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    AcksNothing,
    AcksWhatItGives,
    RetriesAtOnce,
    RetriesUncounted,
    RetriesWithoutHeaders,
    BuriesNothing,
    CountsReturns,
    SendsTwice,
    ReadsText,
    PrefetchesMore,
    IgnoresDelays,
    IgnoresOptions,
    IgnoresSizes,
    IgnoresHeaderSizes,
    CreatesInSecret,
    LosesUndeclared,
    Misdates,
    ClaimsUnsettled,
    ClaimsPartitions,
    IgnoresClose,
    CrashesSilently,
    SuspectsNobody,
    CountsOneMore,
    LeasesToAll,
    LeasesForEver,
    LeasesUnprolonged,
    TakesWhatItShows,
    KeepsReasons,
    PurgesNothing,
    PurgesAll,
    SelectsTheFirst,
    ForgetsFlights,
    IsAlwaysUp,
    HidesCaps,
    ClaimsDurable,
    Outlives,
    ForgetsFirstFailures,
}

pub(crate) struct BrokenServer {
    options: MemoryOptions,
    fault: Fault,
    /// A connection that never ends.
    _outlives: Option<MemoryBroker>,
}

impl BrokenServer {
    pub(crate) fn new(fault: Fault) -> Result<Self> {
        let options = MemoryOptions::parse(&format!("memory://{:x}", fastrand::u128(..)))?;
        let outlives = (fault == Fault::Outlives).then(|| MemoryBroker::open(&options));
        Ok(Self {
            options,
            fault,
            _outlives: outlives,
        })
    }
}

impl BrokerServer for BrokenServer {
    type Broker = BrokenBroker;

    async fn start() -> Result<Self> {
        Self::new(Fault::None)
    }

    async fn connect(&self) -> Result<BrokenBroker> {
        Ok(BrokenBroker {
            inner: MemoryBroker::open(&self.options),
            fault: self.fault,
        })
    }

    async fn crash(&self, connection: &BrokenBroker) {
        match self.fault {
            Fault::CrashesSilently => drop(connection.inner.close().await),
            _ => connection.inner.crash(),
        }
    }

    async fn cut(&self) -> Result<Cut> {
        Ok(Cut::NoConnection)
    }
}

#[derive(Debug)]
pub(crate) struct BrokenBroker {
    inner: MemoryBroker,
    fault: Fault,
}

#[async_trait]
impl QueueBroker for BrokenBroker {
    async fn send(&self, to: &Route, payload: Bytes, mut options: SendOptions) -> Result<()> {
        let mut to = to.clone();
        match self.fault {
            Fault::SendsTwice => {
                self.inner
                    .send(&to, payload.clone(), options.clone())
                    .await?;
            }
            Fault::IgnoresDelays => options.delay = None,
            // Nothing waits in the queue, as when it does not exist.
            Fault::LosesUndeclared if self.inner.length(&to.queue).await? == 0 => return Ok(()),
            Fault::IgnoresOptions => {
                (options, to) = (SendOptions::default(), to.queue.into());
            }
            _ => {}
        }
        let payload = match self.fault {
            Fault::ReadsText => String::from_utf8_lossy(&payload).into_owned().into(),
            Fault::IgnoresSizes => payload.slice(..payload.len().min(self.caps().max_payload)),
            _ => payload,
        };
        self.inner.send(&to, payload, options).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        mut options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        match self.fault {
            Fault::PrefetchesMore => options.prefetch += 1,
            Fault::IgnoresOptions => options.native.clear(),
            _ => {}
        }
        let fault = self.fault;
        let deliveries = self.inner.consume(queue, options).await?;
        let broken = deliveries.then(move |delivery| yielded(delivery, fault));
        Ok(broken.boxed())
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        let length = self.inner.length(queue).await?;
        Ok(length + u64::from(self.fault == Fault::CountsOneMore))
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        let mut depth = self.inner.depth(queue).await?;
        if self.fault == Fault::ForgetsFlights {
            depth.in_flight = Some(0);
        }
        Ok(depth)
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        match self.fault {
            Fault::IgnoresOptions => self.inner.declare(queue, &DeclareOptions::default()).await,
            _ => self.inner.declare(queue, options).await,
        }
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        let seen = self.inner.peek(queue, limit).await?;
        if self.fault == Fault::TakesWhatItShows {
            self.inner.purge(queue, &Selection::All).await?;
        }
        Ok(seen)
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        match self.fault {
            Fault::KeepsReasons => {}
            Fault::SelectsTheFirst => {
                let first = Selection::First(1);
                return self.inner.requeue(from, to, &first).await;
            }
            _ => return self.inner.requeue(from, to, which).await,
        }
        let seen = self.inner.peek(from, 1).await?;
        for message in &seen {
            let mut options = SendOptions::default();
            options.headers = owned(message.headers());
            let body = message.payload().clone();
            self.inner.send(&to.clone().into(), body, options).await?;
        }
        self.inner.purge(from, &Selection::All).await?;
        Ok(seen.len() as u64)
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        match self.fault {
            Fault::PurgesNothing => self.inner.length(queue).await,
            Fault::PurgesAll => self.inner.purge(queue, &Selection::All).await,
            _ => self.inner.purge(queue, which).await,
        }
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn connection(&self) -> Option<ConnectionState> {
        let mut state = self.inner.connection()?;
        state.up |= self.fault == Fault::IsAlwaysUp;
        Some(state)
    }

    fn caps(&self) -> Caps {
        let mut caps = self.inner.caps();
        match self.fault {
            Fault::HidesCaps => {
                (caps.headers, caps.delay, caps.leases) = Default::default();
                (caps.peek, caps.requeue, caps.purge) = Default::default();
                (caps.select_by_id, caps.depth, caps.connection) = Default::default();
            }
            Fault::ClaimsDurable => caps.durable = true,
            Fault::IgnoresHeaderSizes => caps.max_headers = Some(1000),
            Fault::CreatesInSecret => caps.creates = false,
            Fault::ClaimsUnsettled => caps.length = LengthCounts::Unsettled,
            Fault::ClaimsPartitions => caps.partitioned = true,
            _ => {}
        }
        caps
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
impl Leases for BrokenBroker {
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

/// Returns the delivery as the driver yields it.
async fn yielded(delivery: Delivery, fault: Fault) -> Delivery {
    let mut message = delivery.message().clone();
    if fault == Fault::SuspectsNobody {
        message = message.with_crashes(0);
    }
    if fault == Fault::Misdates {
        message = message.with_sent_at(std::time::UNIX_EPOCH);
    }
    if fault == Fault::RetriesUncounted {
        message = message.with_attempt(1);
    }
    if fault == Fault::ForgetsFirstFailures {
        message = without_first_failure(&message);
    }
    if fault == Fault::RetriesWithoutHeaders && message.attempt() > 1 {
        message = Message::new(message.queue(), message.payload().clone())
            .with_attempt(message.attempt());
    }
    if fault == Fault::AcksWhatItGives {
        // The suite notices that the message is gone; that this is confirmed does not matter.
        drop(delivery.ack().await);
        return Delivery::new(message, Box::new(Settler { inner: None, fault }));
    }
    let inner = Some(delivery);
    Delivery::new(message, Box::new(Settler { inner, fault }))
}

fn without_first_failure(message: &Message) -> Message {
    let bare = Message::new(message.queue(), message.payload().clone());
    let bare = bare.with_attempt(message.attempt());
    let kept = message.headers();
    kept.filter(|(name, _)| *name != header::DEAD_FIRST_AT)
        .fold(bare, |bare, (name, value)| bare.with_header(name, value))
}

struct Settler {
    inner: Option<Delivery>,
    fault: Fault,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, _message: &Message, settlement: Settlement) -> SettleFuture {
        let Some(inner) = self.inner else {
            return SettleFuture::done(Ok(()));
        };
        let settlement = match (self.fault, settlement) {
            (Fault::AcksNothing, Settlement::Ack) => Settlement::Return,
            (Fault::BuriesNothing, Settlement::DeadLetter { .. }) => Settlement::Ack,
            (Fault::RetriesAtOnce, Settlement::Retry { reason, .. }) => Settlement::Retry {
                after: Duration::ZERO,
                reason,
            },
            (Fault::CountsReturns, Settlement::Return) => Settlement::Retry {
                after: Duration::ZERO,
                reason: "returned".to_owned(),
            },
            (_, settlement) => settlement,
        };
        inner.settle(settlement)
    }
}

fn owned<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
