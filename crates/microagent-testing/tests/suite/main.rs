//! The suites fail: each clause that is named here is given a driver that breaks the promise it is about.

mod bare_broker;
mod broken_broker;
mod broken_bus;
mod broker;
mod bus;
mod listed;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use microagent_core::Result;
use microagent_testing::suite::{Time, run};

/// Whether the clause is content with the server.
fn passes<S, Clause: Future<Output = ()>>(
    server: Result<S>,
    clause: impl FnOnce(S) -> Clause,
) -> bool {
    let clause = || {
        run(
            Time::Paused,
            Duration::from_secs(10),
            || async { server },
            clause,
        );
    };
    catch_unwind(AssertUnwindSafe(clause)).is_ok()
}
