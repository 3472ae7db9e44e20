//! The lines of the status table, which a terminal shows below the log.

use std::{iter, time::SystemTime};

use humantime::format_rfc3339_seconds;
use rustix::process::Pid;

use super::group::Status;
use crate::columns::aligned;

/// The row of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) pid: Option<Pid>,
    /// The time at which it entered this state.
    pub(crate) since: SystemTime,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) lines: usize,
}

const HEADER: [&str; 6] = [
    "AGENT",
    "STATE",
    "PROCESS",
    "RESTARTS",
    "SINCE (UTC)",
    "LAST END",
];

/// The table takes at most a third of the terminal's height, but may always take so many lines.
const SHARE_OF_HEIGHT: usize = 3;
const FEWEST_LINES: usize = 4;

/// Returns the lines of the table. They are cut to the width of the terminal.
///
/// If there are too many members, those that are not ready come first, and the last line counts the
/// others.
pub(super) fn render(rows: &[Row], size: Size, color: bool) -> Vec<String> {
    let room = (size.lines / SHARE_OF_HEIGHT).max(FEWEST_LINES) - 1;
    let mut shown: Vec<&Row> = rows.iter().collect();
    let hidden = if shown.len() > room {
        shown.len() - (room - 1)
    } else {
        0
    };
    if hidden > 0 {
        shown.sort_by_key(|row| row.status.state == "ready");
        shown.truncate(room - 1);
    }
    let cells: Vec<_> = shown.iter().map(|row| cells(row)).collect();
    let aligned = aligned(HEADER, &cells);
    let colors = shown.iter().map(|row| color_of(row.status.state));
    let mut lines: Vec<_> = aligned
        .iter()
        .zip(iter::once(BOLD).chain(colors))
        .map(|(line, paint_in)| paint(&cut(line, size.columns), color.then_some(paint_in)))
        .collect();
    if hidden > 0 {
        lines.push(cut(&format!("… and {hidden} more"), size.columns));
    }
    lines
}

fn cells(row: &Row) -> [String; 6] {
    let since = format_rfc3339_seconds(row.since).to_string();
    [
        row.status.name.clone(),
        row.status.state.to_owned(),
        row.pid
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        row.status.restarts.to_string(),
        // The time of `2026-01-01T12:00:00Z`.
        since.get(11..19).unwrap_or(&since).to_owned(),
        row.status
            .last_end
            .map_or_else(String::new, |end| end.to_string()),
    ]
}

/// Cuts a line to less than the width of the terminal. On some terminals a line of the full width
/// would wrap, and the table could not be erased.
fn cut(line: &str, columns: usize) -> String {
    line.chars().take(columns.saturating_sub(1)).collect()
}

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const PLAIN: u8 = 0;

fn color_of(state: &str) -> u8 {
    match state {
        "ready" => GREEN,
        "pending" | "starting" | "stopping" => YELLOW,
        "ended" => PLAIN,
        _ => RED,
    }
}

fn paint(line: &str, color: Option<u8>) -> String {
    match color {
        Some(color) => format!("\x1b[{color}m{line}\x1b[0m"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::supervise::exit_status::ExitStatus;

    const SIZE: Size = Size {
        columns: 80,
        lines: 24,
    };

    pub(crate) fn row(name: &str, state: &'static str) -> Row {
        Row {
            status: Status {
                name: name.to_owned(),
                state,
                restarts: 0,
                last_end: None,
                started: None,
            },
            pid: Pid::from_raw(7),
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(3_661),
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut failed = row("mail", "backoff");
        failed.pid = None;
        failed.status.restarts = 2;
        failed.status.last_end = Some(ExitStatus::Exited(1));
        let lines = render(&[row("user_agent", "ready"), failed], SIZE, false);
        assert_eq!(
            lines,
            [
                "AGENT       STATE    PROCESS  RESTARTS  SINCE (UTC)  LAST END",
                "user_agent  ready    7        0         01:01:01",
                "mail        backoff  -        2         01:01:01     exited with code 1",
            ]
        );
    }

    #[test]
    fn no_line_is_as_wide_as_the_terminal() {
        let narrow = Size {
            columns: 12,
            ..SIZE
        };
        let lines = render(&[row("a", "ready")], narrow, false);
        assert_eq!(lines, ["AGENT  STAT", "a      read"]);
    }

    #[test]
    fn members_that_are_not_ready_come_first_if_not_all_fit() {
        let mut rows: Vec<_> = (0..20).map(|n| row(&format!("a{n:02}"), "ready")).collect();
        rows[17] = row("a17", "killed");
        let lines = render(&rows, SIZE, false);
        assert_eq!(lines.len(), SIZE.lines / SHARE_OF_HEIGHT);
        assert!(
            lines[1].starts_with("a17") && lines[2].starts_with("a00"),
            "{lines:?}"
        );
        assert_eq!(lines.last().unwrap(), "… and 14 more");
        let shown = lines.len() - 2;
        assert_eq!(shown + 14, rows.len());
    }

    #[test]
    fn each_state_has_its_colour() {
        let rows = [row("a", "ready"), row("b", "failing"), row("c", "starting")];
        let lines = render(&rows, SIZE, true);
        let begins = ["\x1b[1mAGENT", "\x1b[32ma", "\x1b[31mb", "\x1b[33mc"];
        for (line, begin) in lines.iter().zip(begins) {
            assert!(
                line.starts_with(begin) && line.ends_with("\x1b[0m"),
                "{line:?}"
            );
        }
    }
}
