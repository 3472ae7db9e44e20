//! Signs of life: a task on the agent's own runtime beats, and a thread passes it on to the supervisor. Where the
//! runtime's threads are all blocked, the task does not run, and the beat fails.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{control::Report, lifeline::Control};

/// How many signs of life fit into the time after which the supervisor misses them.
const BEATS: u32 = 4;

/// Often enough for any watchdog, and not a load.
const SHORTEST: Duration = Duration::from_millis(10);

/// Beats until the runtime that this is called on is shut down.
pub(super) fn start(control: Control, watchdog: Duration) -> io::Result<()> {
    let (beats, heard) = sync_channel(1);
    // Writing may wait, for a supervisor that stands still, and a task must not.
    thread::Builder::new()
        .name("marun-pulse".to_owned())
        .spawn(move || pass_on(&heard, &control))?;
    tokio::spawn(beat(beats, (watchdog / BEATS).max(SHORTEST)));
    Ok(())
}

async fn beat(beats: SyncSender<()>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // One that was not passed on yet is enough.
        let _ = beats.try_send(());
    }
}

fn pass_on(heard: &Receiver<()>, control: &Control) {
    while heard.recv().is_ok() && control.report(&Report::Alive).is_ok() {}
}
