//! Heartbeats: a task on the agent's runtime sends them to a thread, which forwards them to the
//! supervisor. If all threads of the runtime are blocked, the task does not run, and the heartbeats
//! stop.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use microagent_core::{RunningHandler, running_handlers};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::{control::Report, supervisor_watch::Control};

/// The number of heartbeats in the time after which a member without one is killed.
const HEARTBEATS: u32 = 4;

/// The shortest interval between heartbeats, to bound the load.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// Starts the heartbeats. They end when the current runtime is shut down.
pub(super) fn start(control: Control, watchdog: Duration) -> io::Result<()> {
    let (sender, receiver) = sync_channel(1);
    // Writing may block while the supervisor is suspended, and a task must not block.
    thread::Builder::new()
        .name("marun-heartbeat".to_owned())
        .spawn(move || forward(&receiver, &control, watchdog / 2))?;
    tokio::spawn(send_heartbeats(
        sender,
        (watchdog / HEARTBEATS).max(MIN_INTERVAL),
    ));
    Ok(())
}

async fn send_heartbeats(sender: SyncSender<()>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // If an earlier heartbeat is not forwarded yet, no other is needed.
        let _ = sender.try_send(());
    }
}

/// Forwards the heartbeats to the supervisor. If none arrives for `limit`, it logs which handlers
/// block the runtime.
fn forward(receiver: &Receiver<()>, control: &Control, limit: Duration) {
    let mut is_blocked = false;
    loop {
        match receiver.recv_timeout(limit) {
            Ok(()) => is_blocked = false,
            Err(RecvTimeoutError::Timeout) => {
                if !is_blocked {
                    warn_about(&running_handlers());
                }
                is_blocked = true;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if control.report(&Report::Alive).is_err() {
            return;
        }
    }
}

fn warn_about(running: &[RunningHandler]) {
    let handlers: Vec<_> = running.iter().map(ToString::to_string).collect();
    let handlers = if handlers.is_empty() {
        "none; a task that the agent spawned blocks it".to_owned()
    } else {
        handlers.join(", ")
    };
    warn!(
        handlers,
        "the runtime is blocked: run code that blocks or computes for long with tokio::task::spawn_blocking"
    );
}
