//! The sink of the log. On a terminal, its last lines are the status table.

use std::io::{self, Write};

use super::table::{Row, Size, render};

/// A terminal that shows the status table.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Returns the current size.
    pub(crate) size: fn() -> Size,
    /// The table is coloured.
    pub(crate) color: bool,
}

/// A sink that writes lines; on a terminal, above the table.
#[derive(Debug)]
pub(super) struct Screen<W> {
    sink: W,
    terminal: Option<Terminal>,
    rows: Vec<Row>,
    /// The number of lines of the table that are drawn above the cursor.
    drawn: usize,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(sink: W, terminal: Option<Terminal>) -> Self {
        Self {
            sink,
            terminal,
            rows: Vec::new(),
            drawn: 0,
        }
    }

    /// Returns the sink.
    pub(super) fn sink(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Writes a line, with its newline.
    pub(super) fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.erase()?;
        self.sink.write_all(line.as_bytes())
    }

    /// Replaces the rows of the table. Without rows there is no table.
    pub(super) fn set_rows(&mut self, rows: Vec<Row>) -> io::Result<()> {
        self.rows = rows;
        self.erase()
    }

    /// Draws the table and flushes the sink.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.draw()?;
        self.sink.flush()
    }

    fn draw(&mut self) -> io::Result<()> {
        let Some(terminal) = &self.terminal else {
            return Ok(());
        };
        if self.drawn > 0 || self.rows.is_empty() {
            return Ok(());
        }
        for line in render(&self.rows, (terminal.size)(), terminal.color) {
            self.sink.write_all(line.as_bytes())?;
            self.sink.write_all(b"\n")?;
            self.drawn += 1;
        }
        Ok(())
    }

    /// Moves the cursor to the first line of the table, and clears the terminal from there on.
    fn erase(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.drawn) {
            0 => Ok(()),
            lines => write!(self.sink, "\x1b[{lines}F\x1b[J"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::tests::row, *};

    const TERMINAL: Terminal = Terminal {
        size: || Size {
            columns: 12,
            lines: 24,
        },
        color: false,
    };

    fn written(screen: &mut Screen<Vec<u8>>) -> String {
        String::from_utf8(std::mem::take(&mut screen.sink)).unwrap()
    }

    #[test]
    fn lines_go_above_the_table() {
        let mut screen = Screen::new(Vec::new(), Some(TERMINAL));
        screen.write_line("one\n").unwrap();
        screen.set_rows(vec![row("a", "ready")]).unwrap();
        screen.flush().unwrap();
        screen.flush().unwrap();
        assert_eq!(written(&mut screen), "one\nAGENT  STAT\na      read\n");

        screen.write_line("two\n").unwrap();
        screen.write_line("three\n").unwrap();
        screen.flush().unwrap();
        assert_eq!(
            written(&mut screen),
            "\x1b[2F\x1b[Jtwo\nthree\nAGENT  STAT\na      read\n"
        );

        screen.set_rows(Vec::new()).unwrap();
        screen.flush().unwrap();
        assert_eq!(
            written(&mut screen),
            "\x1b[2F\x1b[J",
            "nothing is left of it"
        );
    }

    #[test]
    fn without_a_terminal_there_is_no_table() {
        let mut screen = Screen::new(Vec::new(), None);
        screen.set_rows(vec![row("a", "ready")]).unwrap();
        screen.write_line("one\n").unwrap();
        screen.flush().unwrap();
        assert_eq!(written(&mut screen), "one\n");
    }
}
