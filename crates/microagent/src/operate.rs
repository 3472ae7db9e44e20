//! Metrics and health over HTTP, for agents without `marun`.
//!
//! An [`HttpServer`] answers `/metrics` for Prometheus and `/health/live`, `/health/started` and `/health/ready` for probes.
//! [`answer`] gives the same answers to a program that has an HTTP server already. `marun run --http ADDR` serves them for a group.

pub use microagent_http::{AgentReport, HttpAnswer, HttpServer, Reports, answer};
