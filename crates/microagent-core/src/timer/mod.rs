//! Schedules: pure arithmetic of when they fire, and the loops that wait for it.

mod cron;
mod periodic;
mod run;

pub use cron::CronSchedule;
pub(crate) use run::{run_cron, run_periodic};
