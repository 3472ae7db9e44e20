//! The list of cases.

mod agents;
mod amqp;
mod by_hand;
mod handlers;
#[cfg(feature = "kafka")]
mod kafka;
mod local;
mod memory;
mod observed;
mod ours;
mod processes;
mod python;
mod redis;
mod sqlite;
pub(crate) mod worker;

use std::{future::Future, pin::Pin};

use microagent::{Error, Result};

use crate::measure::{Line, Plan};

/// One case.
pub(crate) struct Case {
    /// The name.
    pub(crate) name: &'static str,
    /// The lowest ratio that is not a fault.
    pub(crate) floor: Option<f64>,
    /// Measures the case.
    pub(crate) run: fn(Plan) -> Measuring,
}

/// Converts an error of a bare part.
fn failed(error: impl std::error::Error) -> Error {
    Error::from(error.to_string())
}

type Measuring = Pin<Box<dyn Future<Output = Result<Line>>>>;

/// Writes the list of cases: name, floor, and the function that measures.
macro_rules! cases {
    ($($(#[$attribute:meta])? $name:literal, $floor:expr, $run:expr;)*) => {
        &[$($(#[$attribute])? Case { name: $name, floor: $floor, run: |plan| Box::pin($run(plan)) }),*]
    };
}

/// All cases, in the order in which they run.
pub(crate) const ALL: &[Case] = cases! {
    "memory.consume", Some(0.7), memory::consume;
    "memory.signal", Some(0.7), memory::signal;
    "memory.consume.scraped", Some(0.95), observed::consume_scraped;
    "memory.signal.scraped", Some(0.95), observed::signal_scraped;
    "memory.consume.traced", None, observed::consume_traced;
    "memory.signal.traced", None, observed::signal_traced;
    "memory.handlers.500", None, handlers::five_hundred;
    "local.send", Some(0.4), local::send;
    "local.consume", Some(0.45), local::consume;
    "local.consume.16k", None, local::consume_large;
    "local.consume.processes.1", None, |plan| local::consume_in_processes(plan, 1);
    "local.consume.processes.4", None, |plan| local::consume_in_processes(plan, 4);
    "local.consume.processes.16", None, |plan| local::consume_in_processes(plan, 16);
    "local.signal", None, local::signal;
    "redis.send", Some(0.9), redis::send;
    "redis.send.64", Some(0.8), redis::send_from_many;
    "redis.consume", Some(0.7), redis::consume;
    "redis.consume.16k", None, redis::consume_large;
    "redis.consume.processes.1", None, |plan| redis::consume_in_processes(plan, 1);
    "redis.consume.processes.4", None, |plan| redis::consume_in_processes(plan, 4);
    "redis.consume.processes.16", None, |plan| redis::consume_in_processes(plan, 16);
    "redis.consume.python", Some(10.0), redis::consume_beside_python;
    "redis.signal", Some(0.7), redis::signal;
    "redis.rpc", Some(0.77), redis::rpc;
    "redis.rpc.50", Some(0.6), redis::rpc_of_many;
    "amqp.send", Some(0.8), amqp::send;
    "amqp.consume", Some(0.8), amqp::consume;
    "amqp.consume.python", Some(7.0), amqp::consume_beside_python;
    #[cfg(feature = "kafka")]
    "kafka.send", Some(0.7), kafka::send;
    #[cfg(feature = "kafka")]
    "kafka.consume", None, kafka::consume;
    #[cfg(feature = "kafka")]
    "kafka.consume.python", Some(7.0), kafka::consume_beside_python;
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table in the README: a case and its floor.
    fn rows() -> Vec<(String, Option<f64>)> {
        let rows = include_str!("../../README.md").lines();
        let rows = rows.filter_map(|line| line.strip_prefix("| `"));
        let row = |row: &str| {
            let (name, rest) = row.split_once("` |").unwrap();
            let floor = rest.trim_end_matches('|').rsplit('|').next().unwrap();
            let floor = Some(floor.trim()).filter(|floor| !floor.is_empty());
            (name.to_owned(), floor.map(|floor| floor.parse().unwrap()))
        };
        let rows = rows.map(row);
        let compiled = |name: &str| cfg!(feature = "kafka") || !name.starts_with("kafka.");
        rows.filter(|(name, _)| compiled(name)).collect()
    }

    #[test]
    fn the_readme_lists_the_cases_and_their_floors() {
        let cases = ALL.iter().map(|case| (case.name.to_owned(), case.floor));
        assert_eq!(rows(), cases.collect::<Vec<_>>());
    }
}
