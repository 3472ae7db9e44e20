//! The common parts of the two conformance suites: running a clause, waiting in it, and the result of cutting connections.
//!
//! The clauses themselves are in `bus_suite` and `broker_suite`.

#[expect(
    clippy::expect_used,
    reason = "a clause fails by a panic that says what was to come"
)]
mod leases;
mod macros;
mod wait;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
};

use futures_util::FutureExt;
use microagent_core::Result;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

pub(crate) use self::{
    leases::Connections,
    wait::{EventLimit, QUIET, eventually},
};

/// The result of cutting the connections of a driver.
///
/// ```
/// use microagent_testing::Cut;
///
/// // Of a server's tests: `self.proxy.cut().await.map(|()| Cut::Done)`. Of a driver inside the process:
/// assert_ne!(Cut::NoConnection, Cut::Done);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All connections were cut: the clauses assert that the driver reports it and reconnects.
    Done,
    /// The driver has no connection that could be lost, such as one inside the process: the clauses assert that it reports no
    /// loss and still works.
    NoConnection,
}

/// The clock of a suite.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Tokio's time, paused: waiting takes none. For drivers that wait for nothing outside the runtime.
    Paused,
    /// The machine's time, on several threads, for drivers of real servers.
    Real,
}

/// Runs one clause on a server of its own. The macros call it.
#[doc(hidden)]
pub fn run<S, Starting, Clause>(
    time: Time,
    limit: std::time::Duration,
    start: impl FnOnce() -> Starting,
    clause: impl FnOnce(S) -> Clause,
) where
    Starting: Future<Output = Result<S>>,
    Clause: Future<Output = ()>,
{
    let runtime = runtime(time);
    // A clause waits for several events one after the other; together they may take this long.
    let limit = limit * 6;
    let end = runtime.block_on(async {
        let server = match start().await {
            Ok(server) => server,
            Err(error) => panic!("cannot start the server of the clause: {error}"),
        };
        let clause = AssertUnwindSafe(timeout(limit, clause(server)));
        clause.catch_unwind().await
    });
    // Tasks of the driver must not delay the report of a clause that has failed.
    runtime.shutdown_background();
    match end {
        Ok(Ok(())) => {}
        Ok(Err(_)) => panic!("the clause did not end within {limit:?}"),
        Err(panic) => resume_unwind(panic),
    }
}

fn runtime(time: Time) -> Runtime {
    let mut builder = match time {
        Time::Paused => Builder::new_current_thread(),
        Time::Real => Builder::new_multi_thread(),
    };
    builder.enable_all().start_paused(time == Time::Paused);
    match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no tokio runtime for the clause: {error}"),
    }
}

/// Returns a name that no other clause and no other run uses: servers outlive tests.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}_{:012x}", fastrand::u64(..1 << 48))
}
