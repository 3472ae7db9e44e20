//! Runs a group of processes: starts them, watches them, ends them. It knows processes, not messages.
//!
//! `events.rs` is what happens, `group/` decides, `supervisor.rs` does. `spawn.rs` starts one member, `member.rs` listens to
//! it, `reap.rs` collects the dead, `sentinel.rs` tells the one who ends what is left of
//! the group if the launcher is killed; `line_splitter.rs` → `output.rs` → `render.rs` is the way of a log line, to a `screen.rs` with
//! a `table.rs` where that is a terminal. `systemd.rs` tells the service manager, and
//! `pause.rs` knows what a deadline is worth.

mod events;
mod exit_status;
mod group;
mod line_splitter;
mod member;
mod output;
mod pause;
mod reap;
mod render;
mod screen;
mod sentinel;
mod spawn;
mod supervisor;
mod systemd;
mod table;

pub(crate) use self::{
    group::Rules,
    output::{OWN_NAME, Output},
    pause::{LATE, MOST_GRANTS},
    render::Format,
    screen::Terminal,
    spawn::{Kind, Launch},
    supervisor::supervise,
    table::Size,
};
