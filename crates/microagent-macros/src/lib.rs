//! The attributes and macros of MicroAgent: `#[agent]` with its handlers, `declare!`, `#[derive(Signal)]`.
//!
//! Each goes the same way: parse → check → expand. Everything that is wrong is said at once, at the smallest span, with what
//! is allowed. Generated code names `::microagent::__private` and nothing else; users depend on the crate `microagent`.

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

/// A handler of signals, inside [`#[agent]`](macro@agent): `#[receiver(Signal, …, timeout = 60, concurrency = 256, buffer = 1024,
/// overflow = drop_oldest)]`.
#[proc_macro_attribute]
pub fn receiver(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("receiver", item.into()).into()
}

/// The handler of a queue, inside [`#[agent]`](macro@agent): `#[consumer(QUEUE, timeout = 60, concurrency = 16, prefetch = 32, autoack = true,
/// retry(1, 4, 9), dead_letter = "mailer.dead", max_crashes = 3, driver(name = "value"))]`.
#[proc_macro_attribute]
pub fn consumer(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("consumer", item.into()).into()
}

/// A task that runs again and again, inside [`#[agent]`](macro@agent): `#[periodic(15, timeout = 1, start_after = 0,
/// overlap = allow)]`.
#[proc_macro_attribute]
pub fn periodic(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("periodic", item.into()).into()
}

/// A task that runs by a schedule, inside [`#[agent]`](macro@agent): `#[cron("0 */4 * * *", timeout = 1, tz = "UTC", overlap = allow)]`.
#[proc_macro_attribute]
pub fn cron(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("cron", item.into()).into()
}

/// A hook in the agent's life, inside [`#[agent]`](macro@agent): `#[on(create)]`, `pre_start`, `post_start`, `pre_stop`, `server`, `gap`.
#[proc_macro_attribute]
pub fn on(_options: TokenStream, item: TokenStream) -> TokenStream {
    agent::outside("on", item.into()).into()
}

/// Reads a `signals.json` at compile time: `declare!("signals.json")`, with a path from the crate's root.
///
/// It generates `mod signals` with a struct per signal and `mod queues` with a constant per queue. The file is a build
/// input: a change of it compiles the crate anew.
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
