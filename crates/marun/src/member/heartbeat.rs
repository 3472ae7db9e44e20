//! Signs of life: a task on the agent's own runtime beats, and a thread passes it on to the supervisor. Where the
//! runtime's threads are all blocked, the task does not run, and the beat fails.

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

/// How many signs of life fit into the time after which the supervisor misses them.
const BEATS: u32 = 4;

/// Often enough for any watchdog, and not a load.
const SHORTEST: Duration = Duration::from_millis(10);

/// Beats until the runtime that this is called on is shut down.
pub(super) fn start(control: Control, watchdog: Duration) -> io::Result<()> {
    let (sender, receiver) = sync_channel(1);
    // Writing may wait, for a supervisor that stands still, and a task must not.
    thread::Builder::new()
        .name("marun-heartbeat".to_owned())
        .spawn(move || forward(&receiver, &control, watchdog / 2))?;
    tokio::spawn(send_heartbeats(sender, (watchdog / BEATS).max(SHORTEST)));
    Ok(())
}

async fn send_heartbeats(sender: SyncSender<()>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // One that was not passed on yet is enough.
        let _ = sender.try_send(());
    }
}

/// Passes the beats on. Says what blocks the runtime when none comes for `patience`, as the supervisor says that it is blocked.
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
        "none; a task of its own blocks it".to_owned()
    } else {
        handlers.join(", ")
    };
    warn!(
        handlers,
        "the runtime is blocked: run code that blocks or computes for long with tokio::task::spawn_blocking"
    );
}
