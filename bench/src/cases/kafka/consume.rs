//! Consuming what waits already, at least once. The clock starts at the first message, when the group has formed.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use microagent::prelude::*;
use rdkafka::{
    Message as _,
    consumer::{CommitMode, Consumer, StreamConsumer},
};

use super::{
    super::{
        agents::{BODY, Countdown, MAILER},
        by_hand::Args,
        python,
    },
    Bench, OURS, RAW, failed, publish,
};
use crate::measure::{self, Cost, Line, Plan, Stopwatch};

const COUNT: u32 = 200_000;

/// Python needs seconds for so many. A consumer that is ten times as fast has 30 commits in its time with these.
const COUNT_BESIDE_PYTHON: u32 = 100_000;

/// The number of messages that are sent at a time before the measurement.
const FILLING: usize = 2_000;

/// The clock of a round.
type Clock = Arc<OnceLock<Stopwatch>>;

/// Counts as the agents of the other cases do, and starts the clock at the first message.
struct Timing {
    countdown: Countdown,
    clock: Clock,
}

#[agent]
impl Timing {
    #[consumer(MAILER, concurrency = 64, prefetch = 512)]
    async fn consume(&self, user_id: u64, text: String, email: String) {
        self.clock.get_or_init(Stopwatch::start);
        self.countdown.count(user_id, &text, &email);
    }
}

/// An agent's consumer with named arguments, beside a loop on the client's stream that decodes, handles, and stores offsets, which the
/// client commits.
pub(crate) async fn consume(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let producer = bench.producer()?;
    for topic in [OURS, RAW] {
        publish(&producer, topic, COUNT, FILLING, || Ok(BODY.into())).await?;
    }
    let ours = || consume_ours(&bench, COUNT);
    let raw = || consume_by_hand(&bench);
    measure::rates(plan, COUNT, ours, raw).await
}

/// The same beside the Python package, which receives what is sent while it runs.
pub(crate) async fn consume_beside_python(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let producer = bench.producer()?;
    let fill = async |topic| {
        publish(&producer, topic, COUNT_BESIDE_PYTHON, FILLING, || {
            Ok(BODY.into())
        })
        .await
    };
    fill(OURS).await?;
    let ours = || consume_ours(&bench, COUNT_BESIDE_PYTHON);
    let probe = || publish(&producer, RAW, 1, 1, || Ok(python::PROBE.into()));
    let dsn = bench.server.dsn();
    let theirs = || python::consume_live(&dsn, COUNT_BESIDE_PYTHON, RAW, probe, || fill(RAW));
    measure::rates(plan.at_most(2), COUNT_BESIDE_PYTHON, ours, theirs).await
}

/// Returns the name of a group that has consumed nothing.
fn new_group() -> String {
    static GROUPS: AtomicU32 = AtomicU32::new(0);
    format!("group{}", GROUPS.fetch_add(1, Ordering::Relaxed))
}

async fn consume_ours(bench: &Bench, count: u32) -> Result<Cost> {
    let broker = bench.broker(&new_group()).await?;
    let (countdown, clock) = (Countdown::from(count), Clock::default());
    let agent = Agent::new(Timing {
        countdown: countdown.clone(),
        clock: Arc::clone(&clock),
    });
    let agent = agent
        .bus(Bus::connect("memory://").await?)
        .broker(broker.clone())
        .start()
        .await?;
    countdown.done().await;
    agent.stop().await?;
    // The last commit belongs to the work.
    broker.close().await?;
    stop(&clock)
}

fn stop(clock: &Clock) -> Result<Cost> {
    let watch = clock.get().ok_or("nothing was consumed")?;
    Ok(watch.stop())
}

async fn consume_by_hand(bench: &Bench) -> Result<Cost> {
    let mut config = bench.client();
    config
        .set("group.id", new_group())
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "100");
    let consumer: StreamConsumer = config.create().map_err(failed)?;
    consumer.subscribe(&[RAW]).map_err(failed)?;
    let (countdown, clock) = (Countdown::from(COUNT), Clock::default());
    for _ in 0..COUNT {
        let record = consumer.recv().await.map_err(failed)?;
        clock.get_or_init(Stopwatch::start);
        Args::handle(record.payload().unwrap_or_default(), &countdown)?;
        consumer
            .store_offset_from_message(&record)
            .map_err(failed)?;
    }
    countdown.done().await;
    consumer
        .commit_consumer_state(CommitMode::Sync)
        .map_err(failed)?;
    stop(&clock)
}
