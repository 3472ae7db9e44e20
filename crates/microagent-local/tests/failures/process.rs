//! The roles of the test's processes beside those of the suite, and the log lines of hosts.

use microagent_core::Result;
use microagent_local::{Host, LocalOptions};
use microagent_testing::failure_suite::{self, Journal, Record, SOON, follow_test};
use tokio::signal::unix::{SignalKind, signal};

use crate::{sender, server::Hosted, storage, subscriber};

/// The log line of a process whose hub can be reached.
const HOSTS: &str = "this process hosts the hub folder=";

pub(crate) async fn play(part: &str, folder: &str) -> Result<()> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(false).init();
    let options = LocalOptions::parse(&format!("local:{folder}"))?;
    match part.split(' ').collect::<Vec<_>>()[..] {
        ["host"] => host(&options).await,
        ["sender", first] => sender::send_jobs(&options, first.parse().unwrap()).await,
        ["subscriber"] => subscriber::receive_signals(&options).await,
        ["small-disk"] => storage::on_small_disk(&options).await,
        _ => failure_suite::work::<Hosted>(part, folder).await,
    }
}

/// Hosts, and nothing else.
async fn host(options: &LocalOptions) -> Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let host = Host::start(options).await?;
    let _test = follow_test();
    stop.recv().await;
    host.shutdown().await
}

/// The log lines of hosts.
pub(crate) trait HostLog {
    /// Returns the processes that began to host, in this order.
    fn hosted(&self) -> Vec<u32>;

    /// Waits until processes have begun to host this many times, and returns the last one.
    async fn hosts(&self, times: usize) -> u32;
}

impl HostLog for Journal {
    fn hosted(&self) -> Vec<u32> {
        self.look(hosted)
    }

    async fn hosts(&self, times: usize) -> u32 {
        let what = format!("host number {times}");
        self.until(&what, SOON, |record| hosted(record).len() >= times)
            .await;
        self.hosted()[times - 1]
    }
}

fn hosted(record: &Record) -> Vec<u32> {
    let hosting = record.log.iter().filter(|(_, line)| line.contains(HOSTS));
    hosting.map(|(process, _)| *process).collect()
}
