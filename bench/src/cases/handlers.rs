//! An agent with 500 handlers: 250 receivers and 250 consumers.

use std::{
    collections::HashMap,
    str,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use microagent::{
    blueprint::{
        Blueprint, ConsumerOptions, Fields, HandlerFuture, HandlerReply, MessageInput,
        ReceiverOptions, SignalInput,
    },
    declarations::SignalDeclaration,
    prelude::*,
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    agents::{BODY, Countdown},
    by_hand::{self, Args},
};
use crate::measure::{self, Cost, Line, Plan, Stopwatch};

const OF_EACH_KIND: u32 = 250;
const COUNT: u32 = 200_000;

/// Messages that wait in 250 queues, and signals on 250 channels, beside a loop that finds one of 500 handlers by name.
pub(crate) async fn five_hundred(plan: Plan) -> Result<Line> {
    measure::rates(plan, COUNT, ours, by_hand).await
}

async fn ours() -> Result<Cost> {
    let (bus, broker) = (
        Bus::connect("memory://").await?,
        Broker::connect("memory://").await?,
    );
    for number in numbers() {
        let body = Bytes::from_static(BODY.as_bytes());
        let to = Queue::named(queue_name(number))?.into();
        broker.driver().send(&to, body, Default::default()).await?;
    }
    let countdown = Countdown::from(COUNT);
    let many = Many(countdown.clone());
    let watch = Stopwatch::start();
    let agent = Agent::new(many).bus(bus.clone()).broker(broker.clone());
    let agent = agent.start().await?;
    for number in numbers() {
        let channel = format!("{}:{}:bench", bus.prefix(), signal_name(number));
        let body = Bytes::from_static(BODY.as_bytes());
        bus.driver().publish(&channel, body).await?;
    }
    countdown.done().await;
    agent.stop().await?;
    bus.close().await?;
    broker.close().await?;
    Ok(watch.stop())
}

/// The messages wait when the clock starts, and the signals come meanwhile, as on the other side.
async fn by_hand() -> Result<Cost> {
    let names = (0..OF_EACH_KIND).flat_map(|number| [queue_name(number), signal_name(number)]);
    let countdown = Countdown::from(COUNT);
    let handlers: HashMap<_, _> = names.map(|name| (name, countdown.clone())).collect();
    let (sender, bodies) = mpsc::unbounded_channel();
    let send = |name: String| {
        // The receiver lives until the end of this function.
        let _ = sender.send((name, Bytes::from_static(BODY.as_bytes())));
    };
    numbers().map(queue_name).for_each(send);
    let watch = Stopwatch::start();
    let handling = tokio::spawn(handle_by_name(bodies, handlers));
    numbers().map(signal_name).for_each(send);
    countdown.done().await;
    drop(sender);
    handling.await??;
    Ok(watch.stop())
}

async fn handle_by_name(
    mut bodies: mpsc::UnboundedReceiver<(String, Bytes)>,
    handlers: HashMap<String, Countdown>,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(1024));
    while let Some((name, body)) = bodies.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let args: Args = serde_json::from_slice(&body)?;
        let handler = handlers
            .get(&name)
            .ok_or_else(|| format!("unknown name `{name}`"))?;
        by_hand::spawn_handler(args, handler.clone(), place);
    }
    Ok(())
}

/// The number of the queue or signal of each message: in turn, so that neighbours have different handlers.
fn numbers() -> impl Iterator<Item = u32> {
    (0..COUNT / 2).map(|n| n % OF_EACH_KIND)
}

fn queue_name(number: u32) -> String {
    format!("queue_{number:03}")
}

fn signal_name(number: u32) -> String {
    format!("signal_{number:03}")
}

/// The agent. It is written without the macro, which takes no lists.
struct Many(Countdown);

impl MicroAgent for Many {
    const NAME: &'static str = "Many";

    fn blueprint() -> Blueprint<Self> {
        let queues = QUEUES.iter().map(String::as_str);
        let consumers = queues.fold(Blueprint::new(), |blueprint, name| {
            let options = ConsumerOptions::default().concurrency(64);
            blueprint.consumer(name, Queue::new(name), options, consume)
        });
        with_receivers(consumers)
    }

    async fn create(_: &Context) -> Result<Self> {
        Err("the case creates the agent".into())
    }
}

static QUEUES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..OF_EACH_KIND).map(queue_name).collect());

fn consume(agent: &Arc<Many>, input: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let args = args_of(&input.fields()?)?;
    let agent = Arc::clone(agent);
    Ok(Box::pin(async move {
        agent.count(&args);
        Ok(())
    }))
}

fn receive(agent: &Arc<Many>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let args = args_of(input.fields)?;
    let agent = Arc::clone(agent);
    Ok(Box::pin(async move {
        agent.count(&args);
        HandlerReply::of(&())
    }))
}

fn args_of(fields: &Fields<'_>) -> Result<Args> {
    Ok(Args {
        user_id: fields.get("user_id")?,
        text: fields.get("text")?,
        email: fields.get("email")?,
    })
}

impl Many {
    fn count(&self, args: &Args) {
        self.0.count(args.user_id, &args.text, &args.email);
    }
}

/// The nth of 250 signals.
#[derive(Serialize, Deserialize)]
struct Numbered<const N: usize>;

impl<const N: usize> Numbered<N> {
    const BYTES: [u8; 10] = [
        b's',
        b'i',
        b'g',
        b'n',
        b'a',
        b'l',
        b'_',
        digit(N / 100),
        digit(N / 10),
        digit(N),
    ];
}

#[expect(clippy::cast_possible_truncation, reason = "it is below 10")]
const fn digit(number: usize) -> u8 {
    b'0' + (number % 10) as u8
}

impl<const N: usize> Signal for Numbered<N> {
    const NAME: &'static str = match str::from_utf8(&Self::BYTES) {
        Ok(name) => name,
        Err(_) => panic!("the bytes are ASCII"),
    };

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("signal", ["user_id", "text", "email"]));
        &DECLARED
    }
}

/// Adds a receiver for each of the 250 signals.
fn with_receivers(mut blueprint: Blueprint<Many>) -> Blueprint<Many> {
    let options = || {
        ReceiverOptions::default()
            .concurrency(1024)
            .buffer(1_000_000)
    };
    macro_rules! add {
        ($($ten:literal)*) => {$( add!(@unit $ten, 0 1 2 3 4 5 6 7 8 9); )*};
        (@unit $ten:literal, $($unit:literal)*) => {$(
            blueprint = blueprint.receiver::<Numbered<{ $ten * 10 + $unit }>>(
                <Numbered<{ $ten * 10 + $unit }> as Signal>::NAME,
                options(),
                receive,
            );
        )*};
    }
    add!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
    blueprint
}
