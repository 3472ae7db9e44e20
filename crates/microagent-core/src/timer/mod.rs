//! Schedules: pure arithmetic of when they fire, the loops that wait for it, and what a fire does.

mod cron;
mod fires;
mod follow;
mod lease_server;
mod once;
mod periodic;
mod run;

pub use cron::CronSchedule;
pub(crate) use cron::check_zone;
pub(crate) use run::{check_leases_of, run_cron, run_periodic};
