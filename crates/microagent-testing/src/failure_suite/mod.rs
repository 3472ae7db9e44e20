//! The failure suite: the numbered lines of the failure contract (`docs/failures.md`) that come out the same on every
//! driver, as one documented function for each, with the fault made for real.
//!
//! A server under test is a [`FailureServer`]; [`failure_suite!`](macro@crate::failure_suite) makes a test of each clause. Processes
//! that are to be killed are the test program once more: [`Program`] starts it in a part that [`FailureServer::play`] plays, and
//! [`Journal`] receives what it says. No helper has to be built, and none is counted as a test.
//!
//! A driver's own faults, such as a wrong type in Redis or a full disk of `local:`, are in tests of its crate, which use the
//! parts of this module.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a clause fails by a panic that says what was to come"
)]

mod bench;
mod figures;
mod journal;
mod macros;
mod no_bus;
mod process;
mod wait;
mod worker;

pub mod agents;
pub mod calls;
pub mod jobs;
pub mod load;
pub mod outages;
pub mod queues;
pub mod signals;

use std::{future::Future, time::Duration};

use microagent_core::{QueueBroker, SignalBus};

#[doc(hidden)]
pub use microagent_core::Result;

pub use self::{
    bench::Bench,
    figures::{number, say},
    journal::{Journal, Record, tell},
    no_bus::NoBus,
    process::{Process, Program, follow_test},
    wait::{error_of, kind_of, until, within},
    worker::{QUIET, work},
};

/// The patience with anything that takes milliseconds when the machine has nothing else to do.
pub const SOON: Duration = Duration::from_secs(15);

/// A server under test that has real faults: it can be killed, restarted, stopped and cut off, and processes that work on it
/// can be killed.
pub trait FailureServer: Sized + Send + Sync + 'static {
    /// The driver's bus; [`NoBus`] if it has none, which joins with
    /// [`queue_failure_suite!`](macro@crate::queue_failure_suite).
    type Bus: SignalBus;
    /// The driver's broker.
    type Broker: QueueBroker;

    /// The longest time until another consumer has the messages of one that is killed or stands still. Default: 30 s.
    const TAKEOVER: Duration = Duration::from_secs(30);

    /// The longest time from the return of a killed server until a consumer works again. Default: 5 s.
    const RETURN: Duration = Duration::from_secs(5);

    /// The longest time until a server that stands still is noticed. Default: 20 s.
    const SILENCE: Duration = Duration::from_secs(20);

    /// Starts a server of the clause's own, which ends when the value is dropped. `program` starts processes that serve, if the
    /// driver needs one.
    fn start(program: Program) -> impl Future<Output = Result<Self>> + Send;

    /// Returns the text by which any process finds the server.
    fn address(&self) -> String;

    /// Opens a bus on a connection of its own. Default: the error that the driver has none.
    fn bus(address: &str) -> impl Future<Output = Result<Self::Bus>> + Send {
        std::future::ready(Err(NoBus::error(address)))
    }

    /// Opens a broker on a connection of its own.
    fn broker(address: &str) -> impl Future<Output = Result<Self::Broker>> + Send;

    /// Ends the connection of a broker, for every handle on it, as the death of its process does. The conformance suite of
    /// brokers asks for it.
    fn crash(broker: &Self::Broker);

    /// Kills the server, as `kill -9` does, and waits for its end.
    fn kill(&self) -> impl Future<Output = Result<()>> + Send;

    /// Starts the server again, with its data and at its address, and waits until it answers.
    fn restart(&self) -> impl Future<Output = Result<()>> + Send;

    /// Cuts all connections; the driver can connect again at once.
    fn cut(&self) -> impl Future<Output = Result<()>> + Send;

    /// Stops the server where it stands, as SIGSTOP does: connections stay open, and nobody answers.
    fn stall(&self);

    /// Lets a stopped server go on.
    fn resume(&self);

    /// Plays a part: a process of the test does this. The suite needs the parts of [`work`]; a driver may add its own.
    fn play(part: &str, address: &str) -> impl Future<Output = Result<()>> {
        work::<Self>(part, address)
    }
}

/// Runs one clause on a server of its own, or plays the part that this process was started for. The macro calls it.
#[doc(hidden)]
pub fn run<S, Clause>(module: &'static str, clause: impl FnOnce(Bench<S>) -> Clause)
where
    S: FailureServer,
    Clause: Future<Output = ()>,
{
    let program = Program::of(module);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if process::play_if_asked::<S>(&runtime) {
        return;
    }
    runtime.block_on(async {
        match S::start(program).await {
            Ok(server) => clause(Bench::new(server, program)).await,
            Err(error) => panic!("the server of the clause did not start: {error}"),
        }
    });
    // Tasks of the driver must not hold up the report.
    runtime.shutdown_background();
}
