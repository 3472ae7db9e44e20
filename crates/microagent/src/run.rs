//! Running until the operating system or a server asks for a stop. Only this module of the library handles process signals.

use std::future::Future;

use microagent_core::{Error, ErrorKind, Result, RunningAgent};
use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{SignalKind, signal};

/// Running an agent until its process is asked to stop.
pub trait RunUntilStopped {
    /// Waits for Ctrl-C (SIGINT), SIGTERM or the agent's own end, and then stops the agent as
    /// [`RunningAgent::stop`] does.
    ///
    /// # Errors
    /// As [`RunningAgent::stopped`]; [`ServerInterrupt`](microagent_core::ServerInterrupt) is `Ok`.
    ///
    /// ```
    /// use microagent::prelude::*;
    ///
    /// struct Once;
    ///
    /// #[agent]
    /// impl Once {
    ///     #[on(server)]
    ///     async fn serve(&self) -> Result<()> {
    ///         Err(ServerInterrupt.into())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// Agent::new(Once).start().await?.run_until_stopped().await
    /// # }).unwrap();
    /// ```
    fn run_until_stopped(self) -> impl Future<Output = Result<()>> + Send;
}

impl<A: ?Sized + Send + Sync> RunUntilStopped for RunningAgent<A> {
    async fn run_until_stopped(self) -> Result<()> {
        let no_signals = |error: std::io::Error| {
            Error::new(
                ErrorKind::Driver,
                format!("cannot listen for process signals: {error}"),
            )
        };
        // The parent process may have blocked them. One thread that receives them is enough.
        let stopping: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
        stopping
            .thread_unblock()
            .map_err(|error| no_signals(error.into()))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = self.stopped() => {}
        }
        self.stop().await
    }
}
