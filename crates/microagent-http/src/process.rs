//! The use of a process, as Linux counts it, for the standard metrics `process_*`. Other systems have no such metrics.

#[cfg(target_os = "linux")]
use procfs::{WithCurrentSystemInfo, process::Process};

/// The use of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ProcessUse {
    /// The processor time in user and system mode, in seconds.
    pub(crate) cpu: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    /// In seconds since the Unix epoch.
    pub(crate) started: f64,
    pub(crate) threads: i64,
    pub(crate) open_files: usize,
}

impl ProcessUse {
    /// Reads it; `None` if the process has ended or belongs to another user.
    #[cfg(target_os = "linux")]
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks and seconds stay below 2^52"
    )]
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let process = Process::new(pid.try_into().ok()?).ok()?;
        let stat = process.stat().ok()?;
        let ticks = procfs::ticks_per_second() as f64;
        let booted = procfs::boot_time_secs().ok()? as f64;
        Some(Self {
            cpu: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            started: booted + stat.starttime as f64 / ticks,
            threads: stat.num_threads,
            open_files: process.fd_count().ok()?,
        })
    }

    /// Returns `None`.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_: u32) -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_this_process_is_known_and_that_of_no_process_is_not() {
        let own = ProcessUse::of(std::process::id()).unwrap();
        assert!(own.resident_bytes > 0 && own.threads > 0 && own.open_files > 0);
        assert!(own.started > 1.6e9);
        assert_eq!(ProcessUse::of(u32::MAX), None);
    }
}
