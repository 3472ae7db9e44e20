//! The suites can fail: each clause here runs on a driver that breaks the promise of the clause.

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

/// Returns true if the server passes the clause.
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
