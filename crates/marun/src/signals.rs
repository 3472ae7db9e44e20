//! The signal state that a process inherits from whoever starts it. A launcher behaves the same whatever that is, and so do its
//! members.

use std::io;

use nix::sys::signal::SigSet;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Unblocks all signals. It must run before the first thread and the first child, which inherit that.
///
/// With SIGCHLD blocked the end of a member would go unnoticed, and with SIGTERM neither launcher nor members could be stopped.
pub(crate) fn unblock() {
    // It fails only for arguments that are not valid.
    let _ = SigSet::empty().thread_set_mask();
}

/// Ends what ignoring these signals would do to a launcher. Its children get the default again.
///
/// With SIGCHLD ignored the system forgets how a child has ended. SIGXFSZ kills a process that writes more than a file may hold,
/// unless it is handled; then the write fails.
pub(crate) fn install_handlers() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _context = runtime.enter();
    // A handler stays when its stream is dropped.
    for number in [Signal::CHILD, Signal::XFSZ] {
        drop(signal(SignalKind::from_raw(number.as_raw()))?);
    }
    Ok(())
}
