//! The supervisor of a group of processes: it starts, watches and stops them.
//!
//! | file | content |
//! |---|---|
//! | `supervisor.rs` | the main loop: receives events, asks the group for actions, executes them |
//! | `board.rs`, `group_socket.rs` | the facts about the members for others, and the socket of `marun status` |
//! | `events.rs` | the events: signals, reports, ended children, deadlines |
//! | `group/` | the state machine that decides which actions follow an event |
//! | `spawn.rs` | starts a member |
//! | `member.rs` | receives the reports and the output of a member |
//! | `reap.rs`, `exit_status.rs` | collects ended processes and kills orphans |
//! | `sentinel.rs` | the connection to the sentinel, which ends the group if the launcher is killed |
//! | `pause.rs` | deadlines of a launcher that was itself paused |
//! | `line_splitter.rs`, `output/`, `render.rs` | the path of a log line, from the bytes of a member to the common log |
//! | `screen.rs`, `table.rs` | the status table, if the log is written to a terminal |
//! | `systemd.rs` | notifications to the service manager |

mod board;
mod events;
mod exit_status;
mod group;
mod group_socket;
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
    board::Board,
    group::Rules,
    group_socket::GroupSocket,
    output::{OWN_NAME, Output},
    pause::{LATE, MOST_GRANTS},
    render::Format,
    screen::Terminal,
    spawn::{Kind, Launch},
    supervisor::supervise,
    table::Size,
};
