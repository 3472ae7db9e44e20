//! Answers the questions of the supervisor, on a thread of its own, so that a member whose runtime is
//! blocked answers too.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use microagent_core::status::StatusSlot;

use super::{
    control::{Question, Report},
    supervisor_watch::Control,
};

/// The time in which the agent's runtime must come round to a question. Otherwise it is blocked.
const PATIENCE: Duration = Duration::from_millis(1_200);

/// Starts the thread, and returns the way to it. It ends when the other side is dropped.
pub(super) fn start(control: Control, slot: StatusSlot) -> io::Result<SyncSender<Question>> {
    let (sender, questions) = sync_channel(1);
    thread::Builder::new()
        .name("marun-status".to_owned())
        .spawn(move || answer(&questions, &control, &slot))?;
    Ok(sender)
}

fn answer(questions: &Receiver<Question>, control: &Control, slot: &StatusSlot) {
    while let Ok(Question::Status) = questions.recv() {
        // Before its start, an agent has no status.
        let Some(source) = slot.get() else {
            continue;
        };
        let status = Box::new(source.ask(PATIENCE));
        // An error means that the supervisor is gone, which the watch handles.
        if control.report(&Report::Status(status)).is_err() {
            return;
        }
    }
}
