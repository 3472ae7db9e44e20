//! The attributes and macros of MicroAgent: `#[agent]` with its handlers, `declare!`, `#[derive(Signal)]`.
//!
//! Each goes the same way: parse → check → expand. Everything that is wrong is said at once, at the smallest span, with what
//! is allowed. Generated code names `::microagent::__private` and nothing else; users depend on the crate `microagent`.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod agent;
mod declaration;
mod declare;
mod derive;
mod field;
mod problems;

use proc_macro::TokenStream;

/// Makes an agent of an `impl` block: its methods with the attributes [`receiver`](macro@receiver), [`consumer`](macro@consumer),
/// [`periodic`](macro@periodic), [`cron`](macro@cron) and [`on`](macro@on) become handlers.
///
/// The block stays as it is written, so the methods are ordinary methods that a unit test calls directly.
///
/// ```
/// use microagent::prelude::*;
///
/// #[derive(Default)]
/// struct Greeter;
///
/// const VISITS: Queue = Queue::new("visits");
///
/// #[agent]
/// impl Greeter {
///     #[consumer(VISITS)]
///     async fn greet(&self, name: String) {
///         info!("hello, {name}");
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn agent(options: TokenStream, item: TokenStream) -> TokenStream {
    agent::expand(options.into(), item.into()).into()
}

/// Marks a handler of signals, inside [`#[agent]`](macro@agent): `#[receiver(Signal, …)]`.
///
/// It may take `&Context`, `Sender`, `SignalName`, the listed signal, its fields by their names, `Payload<T>` and `Kwargs`. Its result
/// answers a call.
///
/// The options are the fields of [`ReceiverOptions`](microagent_schema::ReceiverOptions), by their names.
///
/// Times are seconds (`30`, `0.5`), text with a unit (`"1500ms"`, `"2m"`) or an expression of type `Duration`.
///
/// ```
/// use microagent::prelude::*;
///
/// #[derive(Serialize, Deserialize, Signal)]
/// struct UserCreated {
///     user_id: u64,
/// }
///
/// struct Greeter;
///
/// #[agent]
/// impl Greeter {
///     #[receiver(UserCreated, timeout = "1500ms", concurrency = 8)]
///     async fn greet(&self, sender: Sender, user_id: u64) -> String {
///         format!("hello {user_id}, says {sender}")
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn receiver(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("receiver", item.into()).into()
}

/// Marks the handler of a queue, inside [`#[agent]`](macro@agent): `#[consumer(QUEUE, …)]`. An agent has one for each queue.
///
/// It may take `&Context`, `&Message`, the payload's fields by their names, `Payload<T>`, `Kwargs`, and with `autoack = false` the
/// `Delivery`. It returns `()` or a `Result` of it: `Ok` acknowledges.
///
/// The options are the fields of [`ConsumerOptions`](microagent_schema::ConsumerOptions), by their names. Lists and tables stand in
/// parentheses: `retry(1, 4, 9)`, `driver(name = value)`.
///
/// ```
/// use microagent::prelude::*;
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// struct Mailer;
///
/// #[agent]
/// impl Mailer {
///     #[consumer(MAILER, retry("500ms", 10), on_timeout = dead_letter)]
///     async fn send(&self, message: &Message, text: String) -> Result<()> {
///         info!("attempt {}: {text}", message.attempt());
///         Ok(())
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn consumer(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("consumer", item.into()).into()
}

/// Marks a task that runs periodically, inside [`#[agent]`](macro@agent): `#[periodic(15)]`. It may take `&Context`.
///
/// The options are the fields of [`PeriodicOptions`](microagent_schema::PeriodicOptions), by their names. The period needs no name.
///
/// ```
/// use microagent::prelude::*;
///
/// struct Clock;
///
/// #[agent]
/// impl Clock {
///     #[periodic(period = 15, timeout = 10, overlap = skip)]
///     async fn tick(&self) {
///         info!("tick");
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn periodic(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("periodic", item.into()).into()
}

/// Marks a task that runs by a schedule, inside [`#[agent]`](macro@agent): `#[cron("0 */4 * * *")]`. It may take `&Context`.
///
/// The schedule has five fields (minute, hour, day of month, month, day of week) and is read as cronie reads it, or is a nickname such as
/// `@daily`. A bad one does not compile.
///
/// The options are the fields of [`CronOptions`](microagent_schema::CronOptions), by their names. The schedule needs no name;
/// `once` alone is `once = true`, and `once(crashed = run, unavailable = run)` prefers two runs to none.
///
/// ```
/// use microagent::prelude::*;
///
/// struct Reporter;
///
/// #[agent]
/// impl Reporter {
///     #[cron("0 3 * * mon-fri", tz = "Europe/Berlin", timeout = "10m", once, retry(60))]
///     async fn report(&self) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn cron(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("cron", item.into()).into()
}

/// Marks a hook in the agent's life, inside [`#[agent]`](macro@agent): `#[on(pre_start)]`, or as in Python `#[on("pre_start")]`. It may take
/// `&Context`.
///
/// | hook | when | an `Err` |
/// |---|---|---|
/// | `create` | builds the agent if the program does not pass one: a function without `self` that returns it | the agent does not start |
/// | `pre_start` | before anything is received; the only handler that may take `&mut self` | the agent does not start |
/// | `post_start` | everything is bound | the agent does not start |
/// | `server` | from then on, beside the handlers, until it returns | the agent stops; without a failure if it is a `ServerInterrupt` |
/// | `gap` | the bus was disconnected for a time; takes a `&Gap` | is logged |
/// | `pre_stop` | nothing new is taken | is logged |
///
/// ```
/// use microagent::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Settings {
///     greeting: String,
/// }
///
/// struct Greeter {
///     greeting: String,
/// }
///
/// #[agent]
/// impl Greeter {
///     #[on(create)]
///     async fn new(cx: &Context) -> Result<Self> {
///         let Settings { greeting } = cx.settings()?;
///         Ok(Self { greeting })
///     }
///
///     #[on(server)]
///     async fn serve(&self, cx: &Context) {
///         cx.shutdown().await;
///         info!("{}, and goodbye", self.greeting);
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn on(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("on", item.into()).into()
}

/// Reads a `signals.json` at compile time: `declare!("signals.json")`, with a path from the crate's root.
///
/// It generates `mod signals` with a struct per signal and `mod queues` with a constant per queue. The file is a build
/// input: a change of it compiles the crate anew.
///
/// Of `{"name": "user_created", "providing_args": {"user_id": "number", "name": ["string", "null"]}}` it makes
/// `signals::UserCreated { user_id: Number, name: Option<String> }`; an argument without a type is a `Value`. Any integer or float
/// of Rust converts into a `Number`: `user_id: 7.into()`, `total: 9.99.into()`; sending NaN or an infinity fails. Of `{"name": "mailer"}` it makes
/// `queues::MAILER`.
///
/// ```
/// use microagent::prelude::*;
///
/// microagent::declare!("examples/signals.json"); // the file of the line above
///
/// const MAILER: Queue = queues::MAILER;
///
/// struct Welcome;
///
/// #[agent]
/// impl Welcome {
///     #[receiver(signals::UserCreated)]
///     async fn welcome(&self, cx: &Context, name: Option<String>) -> Result<()> {
///         let name = name.unwrap_or_else(|| "stranger".to_owned());
///         cx.broker().send(MAILER, &json!({"text": format!("welcome, {name}")})).await
///     }
/// }
///
/// let created = signals::UserCreated { user_id: 7.into(), name: None };
/// assert_eq!(json!(created), json!({"user_id": 7, "name": null}));
/// assert_eq!(queues::MAILER.name(), "mailer");
/// ```
#[proc_macro]
pub fn declare(input: TokenStream) -> TokenStream {
    declare::expand(input.into()).into()
}

/// Makes a signal of a struct with named fields, whose name in `snake_case` is the signal's; `#[signal(name = "…", prefix = "…")]`
/// says otherwise. The struct also needs `serde::Serialize` and `serde::Deserialize`.
///
/// ```
/// use microagent::prelude::*;
///
/// #[derive(Serialize, Deserialize, Signal)]
/// struct UserCreated {
///     user_id: u64,
/// }
///
/// assert_eq!(<UserCreated as Signal>::NAME, "user_created");
/// ```
#[proc_macro_derive(Signal, attributes(signal))]
pub fn derive_signal(item: TokenStream) -> TokenStream {
    derive::expand(item.into()).into()
}
