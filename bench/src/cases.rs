//! The cases, by name.

mod agents;
mod by_hand;
mod local;
mod memory;
mod redis;
mod sqlite;

use std::{future::Future, pin::Pin};

use microagent::Result;

use crate::measure::Line;

/// One case.
pub(crate) struct Case {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Measures it in so many rounds.
    pub(crate) run: fn(u32) -> Measuring,
}

type Measuring = Pin<Box<dyn Future<Output = Result<Line>>>>;

/// All cases, in the order in which they run.
pub(crate) const ALL: &[Case] = &[
    Case {
        name: "memory.consume",
        run: |rounds| Box::pin(memory::consume(rounds)),
    },
    Case {
        name: "memory.signal",
        run: |rounds| Box::pin(memory::signal(rounds)),
    },
    Case {
        name: "local.send",
        run: |rounds| Box::pin(local::send(rounds)),
    },
    Case {
        name: "local.consume",
        run: |rounds| Box::pin(local::consume(rounds)),
    },
    Case {
        name: "local.signal",
        run: |rounds| Box::pin(local::signal(rounds)),
    },
    Case {
        name: "redis.send",
        run: |rounds| Box::pin(redis::send(rounds)),
    },
    Case {
        name: "redis.send.64",
        run: |rounds| Box::pin(redis::send_from_many(rounds)),
    },
    Case {
        name: "redis.consume",
        run: |rounds| Box::pin(redis::consume(rounds)),
    },
    Case {
        name: "redis.consume.python",
        run: |rounds| Box::pin(redis::consume_beside_python(rounds)),
    },
    Case {
        name: "redis.signal",
        run: |rounds| Box::pin(redis::signal(rounds)),
    },
    Case {
        name: "redis.rpc",
        run: |rounds| Box::pin(redis::rpc(rounds)),
    },
    Case {
        name: "redis.rpc.50",
        run: |rounds| Box::pin(redis::rpc_of_many(rounds)),
    },
];
