//! The cases, by name.

mod agents;
mod by_hand;
mod local;
mod memory;
mod ours;
mod redis;
mod sqlite;

use std::{future::Future, pin::Pin};

use microagent::Result;

use crate::measure::Line;

/// One case.
pub(crate) struct Case {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The ratio below which something is wrong, where there is one.
    pub(crate) floor: Option<f64>,
    /// Measures it in so many rounds.
    pub(crate) run: fn(u32) -> Measuring,
}

type Measuring = Pin<Box<dyn Future<Output = Result<Line>>>>;

/// All cases, in the order in which they run.
pub(crate) const ALL: &[Case] = &[
    Case {
        name: "memory.consume",
        floor: Some(0.5),
        run: |rounds| Box::pin(memory::consume(rounds)),
    },
    Case {
        name: "memory.signal",
        floor: Some(0.5),
        run: |rounds| Box::pin(memory::signal(rounds)),
    },
    Case {
        name: "local.send",
        floor: Some(0.4),
        run: |rounds| Box::pin(local::send(rounds)),
    },
    Case {
        name: "local.consume",
        floor: None,
        run: |rounds| Box::pin(local::consume(rounds)),
    },
    Case {
        name: "local.signal",
        floor: None,
        run: |rounds| Box::pin(local::signal(rounds)),
    },
    Case {
        name: "redis.send",
        floor: Some(0.9),
        run: |rounds| Box::pin(redis::send(rounds)),
    },
    Case {
        name: "redis.send.64",
        floor: Some(0.8),
        run: |rounds| Box::pin(redis::send_from_many(rounds)),
    },
    Case {
        name: "redis.consume",
        floor: Some(0.5),
        run: |rounds| Box::pin(redis::consume(rounds)),
    },
    Case {
        name: "redis.consume.python",
        floor: Some(10.0),
        run: |rounds| Box::pin(redis::consume_beside_python(rounds)),
    },
    Case {
        name: "redis.signal",
        floor: Some(0.5),
        run: |rounds| Box::pin(redis::signal(rounds)),
    },
    Case {
        name: "redis.rpc",
        floor: Some(0.77),
        run: |rounds| Box::pin(redis::rpc(rounds)),
    },
    Case {
        name: "redis.rpc.50",
        floor: Some(0.6),
        run: |rounds| Box::pin(redis::rpc_of_many(rounds)),
    },
];

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
        rows.map(row).collect()
    }

    #[test]
    fn the_readme_tells_the_cases_and_their_floors() {
        let cases = ALL.iter().map(|case| (case.name.to_owned(), case.floor));
        assert_eq!(rows(), cases.collect::<Vec<_>>());
    }
}
