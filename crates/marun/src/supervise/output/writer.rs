//! The thread that writes the log of the group: lines, the status table, and how many lines are
//! missing.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Instant,
};

use microagent_core::driver::lock;

use super::{
    super::{
        render::Format,
        screen::{Screen, Terminal},
    },
    Item, OWN_NAME, Shared,
};
use crate::standard::{LineStream, MissingLines, Sink, WriteOutcome, print_error};

/// The size from which waiting bytes are written at once.
const CHUNK: usize = 8 * 1024;

/// The state of the writing thread.
pub(super) struct Writer<S> {
    format: Format,
    screen: Screen<LineStream<S>>,
    shared: Arc<Shared>,
    /// The message that the log cannot be written was printed to standard error.
    is_refused: bool,
}

/// Writes all items until no more can come. When the reader of the log is gone, it discards them,
/// so that the members continue.
pub(super) fn write_all(items: &Receiver<Item>, mut writer: Writer<impl Sink>) {
    if let Err(error) = writer.run(items) {
        print_error(&format!(
            "cannot write the log: {error}; the agents continue"
        ));
    }
    for item in items {
        if let Item::Flush(done) = item {
            let _ = done.send(());
        }
    }
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(
        format: Format,
        sink: S,
        terminal: Option<Terminal>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            format,
            screen: Screen::new(LineStream::new(sink), terminal),
            shared,
            is_refused: false,
        }
    }

    /// Writes all items until no more can come.
    ///
    /// # Errors
    /// Returns an error if the reader of the log is gone.
    fn run(&mut self, items: &Receiver<Item>) -> io::Result<()> {
        loop {
            let item = match items.try_recv() {
                Ok(item) => Some(item),
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {
                    self.flush()?;
                    let retry_at = self.screen.sink().retry_at();
                    match next(items, retry_at) {
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                        Err(RecvTimeoutError::Timeout) => None,
                        Ok(item) => Some(item),
                    }
                }
            };
            if let Some(item) = item {
                self.take(item)?;
            }
        }
    }

    fn take(&mut self, item: Item) -> io::Result<()> {
        match item {
            Item::Line {
                index, name, text, ..
            } => self.write_line(index, &name, &text),
            Item::Table => {
                let rows = lock(&self.shared.table).take();
                rows.map_or(Ok(()), |rows| self.screen.set_rows(rows))
            }
            Item::Flush(done) => {
                self.flush()?;
                if let Some(missing) = self.screen.sink().take_all_missing() {
                    print_error(&describe(&missing));
                }
                let _ = done.send(());
                Ok(())
            }
        }
    }

    fn write_line(&mut self, index: usize, name: &str, text: &str) -> io::Result<()> {
        let retry_at = self.screen.sink().retry_at();
        if retry_at.is_some_and(|retry_at| retry_at <= Instant::now()) {
            self.write_waiting()?;
        }
        if self.screen.sink().retry_at().is_some() {
            self.screen.sink().drop_lines(1);
            return Ok(());
        }
        let line = self.format.render(index, name, text);
        self.screen.write_line(&line)?;
        if self.screen.sink().waiting() >= CHUNK {
            self.write_waiting()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.screen.flush()?;
        self.write_waiting()
    }

    /// Writes the waiting bytes, and reports missing lines.
    fn write_waiting(&mut self) -> io::Result<()> {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        let stream = self.screen.sink();
        stream.drop_lines(dropped);
        let outcome = stream.write_waiting()?;
        if outcome == WriteOutcome::Written
            && let Some(missing) = stream.take_missing()
        {
            // As an event, so that it has the form of the other lines.
            tracing::warn!(target: OWN_NAME, "{}", describe(&missing));
        }
        let was_refused = std::mem::replace(&mut self.is_refused, outcome == WriteOutcome::Refused);
        if self.is_refused && !was_refused {
            print_error(
                "cannot write the log for now; the agents continue, and lines are dropped until it can be written",
            );
        }
        Ok(())
    }
}

/// Waits for the next item, no longer than until `again` if it is given.
fn next(items: &Receiver<Item>, retry_at: Option<Instant>) -> Result<Item, RecvTimeoutError> {
    match retry_at {
        None => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(retry_at) => items.recv_timeout(retry_at.saturating_duration_since(Instant::now())),
    }
}

fn describe(missing: &MissingLines) -> String {
    let MissingLines { lines, reason } = missing;
    if reason.is_empty() {
        format!("{lines} lines of the log are missing: too many lines waited to be written")
    } else {
        format!("{lines} lines of the log are missing: {reason}")
    }
}
