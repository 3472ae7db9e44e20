//! The signal mask and the ignored signals that a process inherits. The launcher resets them, so
//! that it and its members do not depend on how it was started.

use std::io;

use nix::sys::signal::SigSet;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Unblocks all signals. It must run before the first thread and the first child are started,
/// because they inherit the mask.
///
/// With SIGCHLD blocked, the launcher would not notice the end of a member. With SIGTERM blocked,
/// launcher and members could not be stopped.
pub(crate) fn unblock() {
    // It fails only for invalid arguments.
    let _ = SigSet::empty().thread_set_mask();
}

/// Installs handlers for SIGCHLD and SIGXFSZ. Children get the default actions.
///
/// With SIGCHLD ignored, the system discards the exit status of a child. Without a handler, SIGXFSZ
/// kills a process that exceeds the size limit of a file; with one, the write fails.
pub(crate) fn install_handlers() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _context = runtime.enter();
    // The handler remains installed when the stream is dropped.
    for number in [Signal::CHILD, Signal::XFSZ] {
        drop(signal(SignalKind::from_raw(number.as_raw()))?);
    }
    Ok(())
}
