//! `status`: shows the status of a group, which its launcher is asked for, or of all agents on a bus.

mod bus;
mod launcher;

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use super::{print, print_text, run_to_end};
use crate::{
    cli::StatusOf,
    exit::Failure,
    status::{self, GroupStatus},
};

/// Erases the screen and puts the cursor at its begin.
const ERASE: &[u8] = b"\x1b[H\x1b[2J";

/// The width without a terminal.
const WIDTH: usize = 80;

pub(crate) fn run(of: &StatusOf, json: bool, watch: bool) -> Result<(), Failure> {
    match &of.bus {
        Some(dsn) => run_to_end(bus::run(dsn, of.prefix.as_deref(), json, watch)),
        None => launcher::run(&of.settings, json, watch),
    }
}

/// Shows a status, and fails if an agent is not ready.
fn show_once(status: &GroupStatus, json: bool) -> Result<(), Failure> {
    show(status, None, json)?;
    if status::is_ready(status) {
        Ok(())
    } else {
        // The first line has the reason.
        Err(Failure::failed(""))
    }
}

fn show(status: &GroupStatus, earlier: Option<&GroupStatus>, json: bool) -> Result<(), Failure> {
    if json {
        return print(status);
    }
    let is_terminal = io::stdout().is_terminal();
    let width = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    let width = if width == 0 { WIDTH } else { width };
    if is_terminal && earlier.is_some() {
        erase()
            .map_err(|error| Failure::failed(format!("cannot write to the terminal: {error}")))?;
    }
    let mut lines = status::render(status, earlier, width).into_iter();
    lines.try_for_each(|line| print_text(&line))
}

fn erase() -> io::Result<()> {
    let mut terminal = io::stdout();
    terminal.write_all(ERASE)?;
    terminal.flush()
}
