//! `__exec`: replaces this process by a program without agents. On Linux, the program is killed
//! when its supervisor dies; on other systems only the sentinel does that. The program inherits
//! only its output from the launcher.

use std::{os::unix::process::CommandExt, process::Command, process::Stdio};

use rustix::process::Signal;

use super::{
    control::{CommandAssignment, Report},
    supervisor_watch::Control,
};

/// Replaces this process by the program of the assignment. The supervisor takes the end of the
/// socket as the report that it is ready.
///
/// # Errors
/// Returns why the program could not be started. The supervisor gets the same text as a report.
pub(crate) fn exec(parent: i32) -> Result<std::convert::Infallible, String> {
    // This setting remains after `exec`. It must be SIGKILL, because the program may ignore
    // SIGTERM.
    let control = Control::take(parent, Signal::KILL).map_err(|error| error.to_string())?;
    let line = control.assignment().map_err(|error| error.to_string())?;
    let message = match serde_json::from_slice::<CommandAssignment>(&line) {
        Ok(assignment) => replace_process(&assignment.command),
        Err(error) => format!("invalid assignment of the launcher: {error}"),
    };
    let _ = control.report(&Report::Failed(message.clone()));
    Err(message)
}

fn replace_process(command: &[String]) -> String {
    let Some((program, arguments)) = command.split_first() else {
        return "the command is empty".to_owned();
    };
    let error = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .exec();
    format!("cannot run `{program}`: {error}")
}
