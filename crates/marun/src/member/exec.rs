//! `__exec`: turns into a program of another kind, which then dies with the supervisor (on Linux; elsewhere only
//! the sentinel sees to that). The program inherits nothing of the launcher but its output.

use std::{os::unix::process::CommandExt, process::Command, process::Stdio};

use rustix::process::Signal;

use super::{
    control::{CommandAssignment, Report},
    supervisor_watch::Control,
};

/// Never returns where it succeeds: the supervisor takes the end of the socket for readiness.
///
/// # Errors
/// What went wrong, which the supervisor was told if it still lives.
pub(crate) fn exec(parent: i32) -> Result<std::convert::Infallible, String> {
    // This signal survives the change of program, and a program that ignores SIGTERM must die too.
    let control = Control::take(parent, Signal::KILL).map_err(|error| error.to_string())?;
    let line = control.assignment().map_err(|error| error.to_string())?;
    let message = match serde_json::from_slice::<CommandAssignment>(&line) {
        Ok(assignment) => turn_into(&assignment.command),
        Err(error) => format!("the launcher's message is not understood: {error}"),
    };
    let _ = control.report(&Report::Failed(message.clone()));
    Err(message)
}

fn turn_into(command: &[String]) -> String {
    let Some((program, arguments)) = command.split_first() else {
        return "the command is empty".to_owned();
    };
    let error = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .exec();
    format!("cannot run `{program}`: {error}")
}
