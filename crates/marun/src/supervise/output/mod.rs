//! The log of the group: one stream, written by a thread of its own (`writer.rs`), so that a
//! terminal that does not read cannot block the supervisor.

mod writer;

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use microagent_core::driver::lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing_subscriber::fmt::MakeWriter;

use self::writer::{Writer, write_all};
use super::{render::Format, screen::Terminal, table::Row};
use crate::standard::Sink;

/// The most bytes of members that may wait to be written. At this limit the supervisor stops
/// reading the output of the members, and those that write wait: the log is slow, but complete.
const BYTES_WAITING: usize = 1024 * 1024;

/// The most bytes of the supervisor's own lines that may wait. The supervisor itself must not wait:
/// further lines are dropped and counted.
const OWN_BYTES_WAITING: usize = 1024 * 1024;

/// The share of these limits that a line takes in addition to its text.
const LINE_OVERHEAD: usize = 64;

/// The time in which the last lines must be written when the group has ended.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The name before the supervisor's own lines.
pub(crate) const OWN_NAME: &str = "marun";

/// A handle of the writing thread. Clones write to the same stream.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    sender: Sender<Item>,
    permits: Arc<Semaphore>,
    own_permits: Arc<Semaphore>,
    shared: Arc<Shared>,
    has_table: bool,
}

/// The state that the handles and the thread share; it does not wait in the order of the lines.
#[derive(Debug, Default)]
struct Shared {
    /// The new status table, if it has changed.
    table: Mutex<Option<Vec<Row>>>,
    /// The number of lines of the supervisor that were dropped.
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Item {
    Line {
        index: usize,
        name: Arc<str>,
        text: String,
        _permit: Option<OwnedSemaphorePermit>,
    },
    /// The status table has changed.
    Table,
    /// The thread answers when it has written everything before.
    Flush(Sender<()>),
}

impl Output {
    /// Starts the thread that writes lines to `sink`, with a status table if `terminal` is given.
    pub(crate) fn start(
        format: Format,
        sink: impl Sink + Send + 'static,
        terminal: Option<Terminal>,
    ) -> io::Result<Self> {
        let (sender, items) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let has_table = terminal.is_some();
        let writer = Writer::new(format, sink, terminal, Arc::clone(&shared));
        thread::Builder::new()
            .name("marun-log".to_owned())
            .spawn(move || write_all(&items, writer))?;
        Ok(Self {
            sender,
            permits: Arc::new(Semaphore::new(BYTES_WAITING)),
            own_permits: Arc::new(Semaphore::new(OWN_BYTES_WAITING)),
            shared,
            has_table,
        })
    }

    /// Returns whether the stream shows a status table.
    pub(crate) fn has_table(&self) -> bool {
        self.has_table
    }

    /// Replaces the rows of the status table; no rows remove it.
    pub(crate) fn table(&self, rows: Vec<Row>) {
        let known = lock(&self.shared.table).replace(rows);
        if known.is_none() {
            let _ = self.sender.send(Item::Table);
        }
    }

    /// Writes a line of a member; waits while too many bytes wait.
    pub(crate) async fn line(&self, index: usize, name: &Arc<str>, text: String) {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_many_owned(weight(&text)).await.ok();
        self.send(index, name, text, permit);
    }

    /// Writes a line of the supervisor without waiting.
    fn own_line(&self, text: String) {
        let permits = Arc::clone(&self.own_permits);
        match permits.try_acquire_many_owned(weight(&text)) {
            Ok(permit) => self.send(0, &Arc::from(OWN_NAME), text, Some(permit)),
            Err(_) => drop(self.shared.dropped.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn send(
        &self,
        index: usize,
        name: &Arc<str>,
        text: String,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let line = Item::Line {
            index,
            name: Arc::clone(name),
            text,
            _permit: permit,
        };
        // The thread runs as long as there is a sender.
        let _ = self.sender.send(line);
    }

    /// Waits until everything so far is written, at most [`LAST_LINES`].
    pub(crate) fn flush(&self) {
        let (done, written) = mpsc::channel();
        if self.sender.send(Item::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// Returns how many permits a line needs; the longest line needs no more than there are.
fn weight(text: &str) -> u32 {
    let bytes = (text.len() + LINE_OVERHEAD).min(BYTES_WAITING);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Writes the supervisor's own `tracing` events to the stream.
impl<'a> MakeWriter<'a> for Output {
    type Writer = OwnLines;

    fn make_writer(&'a self) -> OwnLines {
        OwnLines(self.clone())
    }
}

/// A writer that gets one formatted event per write, as `tracing-subscriber` does it.
#[derive(Debug)]
pub(crate) struct OwnLines(Output);

impl Write for OwnLines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(event).lines() {
            self.0.own_line(line.to_owned());
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::standard::tests::Memory;

    const TEXT: Format = Format::Text {
        width: 5,
        color: false,
        terminal: false,
    };

    #[tokio::test]
    async fn lines_keep_their_order_and_a_flush_waits_for_them() {
        let sink = Memory::default();
        let output = Output::start(TEXT, sink.clone(), None).unwrap();
        output.line(1, &Arc::from("a"), "one".to_owned()).await;
        writeln!(output.make_writer(), "two").unwrap();
        output.flush();
        assert_eq!(sink.text(), "a     | one\nmarun | two\n");
    }

    /// A sink that blocks in `write` until the sender is dropped, and then fails.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Stuck {
        fn is_terminal(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn members_wait_for_a_reader_that_does_not_read_and_continue_when_it_is_gone() {
        let (go_on, wait) = mpsc::channel();
        let output = Output::start(TEXT, Stuck(wait), None).unwrap();
        let name = Arc::from("a");
        // The first line fills the buffer of the sink, so that the others must wait.
        output.line(0, &name, "x".repeat(100_000)).await;
        while output.permits.available_permits() >= LINE_OVERHEAD {
            output.line(0, &name, String::new()).await;
        }
        let blocked = output.line(0, &name, String::new());
        tokio::pin!(blocked);
        let polled = futures_poll(&mut blocked).await;
        assert!(!polled, "no permit is left");
        drop(go_on);
        blocked.await;
    }

    #[tokio::test]
    async fn the_lines_of_the_supervisor_take_a_bounded_amount_of_memory() {
        let (_go_on, wait) = mpsc::channel();
        let output = Output::start(TEXT, Stuck(wait), None).unwrap();
        let lines = 2 * OWN_BYTES_WAITING / 1_000;
        for _ in 0..lines {
            output.own_line("x".repeat(1_000));
        }
        let dropped = output.shared.dropped.load(Ordering::Relaxed);
        assert!(dropped > 0 && dropped < lines as u64, "{dropped}");
    }

    /// Returns whether the future is ready at once.
    async fn futures_poll(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        tokio::select! {
            biased;
            () = future => true,
            () = std::future::ready(()) => false,
        }
    }
}
