//! Metrics and health of agents over HTTP: `/metrics`, `/health/live`, `/health/started`, `/health/ready`.
//!
//! The answers are made from the [`Status`](microagent_core::status::Status) of each agent, and nothing is counted for them. `marun
//! run --http ADDR` serves them for a group of processes; [`HttpServer`] does so for the agents of one program, and [`answer`] gives
//! them to a program that has an HTTP server already.
//!
//! ```no_run
//! use microagent_core::{Agent, Blueprint, Context, MicroAgent, Result};
//! use microagent_http::HttpServer;
//!
//! # struct Ticker;
//! # impl MicroAgent for Ticker {
//! #     const NAME: &'static str = "Ticker";
//! #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
//! #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
//! # }
//! # async fn example() -> Result<()> {
//! let agent = Agent::new(Ticker).start().await?;
//! let _server = HttpServer::start("127.0.0.1:9090", vec![agent.status_source()])?;
//! agent.stop().await
//! # }
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod answer;
mod health;
mod metrics;
mod process;
mod report;
mod server;

pub use self::{
    answer::{HttpAnswer, answer},
    report::{AgentReport, Reports},
    server::HttpServer,
};
