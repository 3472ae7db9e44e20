//! The one stream of the group's log, written by a thread of its own: a terminal that stands still must not
//! keep the supervisor from supervising.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing_subscriber::fmt::MakeWriter;

use super::{
    render::Format,
    screen::{Screen, Terminal},
    table::Row,
};
use crate::standard::{LineStream, Missing, Settled, Sink, complain};

/// How many bytes of agents may wait to be written. When they do, reading stops, and then the agents' own
/// writing: the log is slow, but complete.
const BYTES_WAITING: usize = 1024 * 1024;

/// How many bytes of the supervisor may wait. It cannot wait itself: what is too much is left out and counted.
const OWN_BYTES_WAITING: usize = 1024 * 1024;

/// What a line takes of these besides its text.
const LINE_OVERHEAD: usize = 64;

/// So many bytes are written at once.
const CHUNK: usize = 8 * 1024;

/// How long the last lines may take to be written when the group is over.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The name and the number that the supervisor's own lines bear.
pub(crate) const OWN_NAME: &str = "marun";

/// The handle of the writing thread; clones write to the same stream.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    sender: Sender<Item>,
    permits: Arc<Semaphore>,
    own_permits: Arc<Semaphore>,
    shared: Arc<Shared>,
    has_table: bool,
}

/// What does not wait in the order of the lines.
#[derive(Debug, Default)]
struct Shared {
    /// The status table from now on, if it has changed.
    table: Mutex<Option<Vec<Row>>>,
    /// How many lines of the supervisor were left out.
    left_out: AtomicU64,
}

#[derive(Debug)]
enum Item {
    Line {
        index: usize,
        name: Arc<str>,
        text: String,
        _permit: Option<OwnedSemaphorePermit>,
    },
    /// There is another status table.
    Table,
    /// Everything before is written when the other end hears of it.
    Flush(Sender<()>),
}

impl Output {
    /// Starts the thread that writes lines to `sink`, which may be a terminal.
    pub(crate) fn start(
        format: Format,
        sink: impl Sink + Send + 'static,
        terminal: Option<Terminal>,
    ) -> io::Result<Self> {
        let (sender, items) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            format,
            has_table: terminal.is_some(),
            screen: Screen::new(LineStream::new(sink), terminal),
            shared: Arc::clone(&shared),
            is_refused: false,
        };
        let has_table = writer.has_table;
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

    /// Whether somebody sees a status table.
    pub(crate) fn has_table(&self) -> bool {
        self.has_table
    }

    /// What the status table shows from now on; nothing takes it away.
    pub(crate) fn table(&self, rows: Vec<Row>) {
        let table = self.shared.table.lock();
        let known = table.unwrap_or_else(PoisonError::into_inner).replace(rows);
        if known.is_none() {
            let _ = self.sender.send(Item::Table);
        }
    }

    /// A line of an agent; waits while too many do.
    pub(crate) async fn line(&self, index: usize, name: &Arc<str>, text: String) {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_many_owned(weight(&text)).await.ok();
        self.send(index, name, text, permit);
    }

    /// A line of the supervisor. It never waits: these are few, and the supervisor has no time.
    fn own_line(&self, text: String) {
        let permits = Arc::clone(&self.own_permits);
        match permits.try_acquire_many_owned(weight(&text)) {
            Ok(permit) => self.send(0, &Arc::from(OWN_NAME), text, Some(permit)),
            Err(_) => drop(self.shared.left_out.fetch_add(1, Ordering::Relaxed)),
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
        // The thread lives as long as a sender does.
        let _ = self.sender.send(line);
    }

    /// Waits until everything so far is written, but not for ever: the reader may stand still.
    pub(crate) fn flush(&self) {
        let (done, written) = mpsc::channel();
        if self.sender.send(Item::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// How many permits a line needs; the longest one needs no more than there are.
fn weight(text: &str) -> u32 {
    let bytes = (text.len() + LINE_OVERHEAD).min(BYTES_WAITING);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The state of the writing thread.
struct Writer<S> {
    format: Format,
    screen: Screen<LineStream<S>>,
    has_table: bool,
    shared: Arc<Shared>,
    /// Whether standard error was told that the log cannot be written.
    is_refused: bool,
}

fn write_all(items: &Receiver<Item>, mut writer: Writer<impl Sink>) {
    if let Err(error) = writer.run(items) {
        complain(&format!(
            "the log cannot be written any more, the agents go on: {error}"
        ));
    }
    // Nobody reads any more; the agents go on, as with any log that lost its reader.
    for item in items {
        if let Item::Flush(done) = item {
            let _ = done.send(());
        }
    }
}

impl<S: Sink> Writer<S> {
    /// Writes until no more lines can come.
    ///
    /// # Errors
    /// The reader is gone.
    fn run(&mut self, items: &Receiver<Item>) -> io::Result<()> {
        loop {
            let item = match items.try_recv() {
                Ok(item) => Some(item),
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {
                    self.flush()?;
                    let again = self.screen.sink().again();
                    match next(items, again) {
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
                let table = self.shared.table.lock();
                let rows = table.unwrap_or_else(PoisonError::into_inner).take();
                rows.map_or(Ok(()), |rows| self.screen.set_rows(rows))
            }
            Item::Flush(done) => {
                self.flush()?;
                if let Some(missing) = self.screen.sink().take_all_missing() {
                    complain(&tell_missing(&missing));
                }
                let _ = done.send(());
                Ok(())
            }
        }
    }

    fn write_line(&mut self, index: usize, name: &str, text: &str) -> io::Result<()> {
        let again = self.screen.sink().again();
        if again.is_some_and(|again| again <= Instant::now()) {
            self.settle()?;
        }
        if self.screen.sink().again().is_some() {
            self.screen.sink().leave_out(1);
            return Ok(());
        }
        let line = self.format.render(index, name, text);
        self.screen.write_line(&line)?;
        match self.screen.sink().waiting() >= CHUNK {
            true => self.settle(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.screen.flush()?;
        self.settle()
    }

    /// Writes what waits, and tells of what is missing.
    fn settle(&mut self) -> io::Result<()> {
        let left_out = self.shared.left_out.swap(0, Ordering::Relaxed);
        let stream = self.screen.sink();
        stream.leave_out(left_out);
        let settled = stream.settle()?;
        if settled == Settled::Written
            && let Some(missing) = stream.take_missing()
        {
            // Through the log itself, so that it has the form of its other lines.
            tracing::warn!(target: OWN_NAME, "{}", tell_missing(&missing));
        }
        let was_refused = std::mem::replace(&mut self.is_refused, settled == Settled::Refused);
        if self.is_refused && !was_refused {
            complain(
                "the log cannot be written; the agents go on, and lines are left out until it can",
            );
        }
        Ok(())
    }
}

/// Waits for the next item, until `again` if that is some time.
fn next(items: &Receiver<Item>, again: Option<Instant>) -> Result<Item, RecvTimeoutError> {
    match again {
        None => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(again) => items.recv_timeout(again.saturating_duration_since(Instant::now())),
    }
}

fn tell_missing(missing: &Missing) -> String {
    let Missing { lines, reason } = missing;
    match reason.is_empty() {
        true => format!("{lines} lines of the log are missing: too many waited to be written"),
        false => format!("{lines} lines of the log are missing: {reason}"),
    }
}

/// The way of the supervisor's own `tracing` events into the stream.
impl<'a> MakeWriter<'a> for Output {
    type Writer = OwnLines;

    fn make_writer(&'a self) -> OwnLines {
        OwnLines(self.clone())
    }
}

/// Takes one formatted event per write, as `tracing-subscriber` hands them over.
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
    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Memory {
        fn is_terminal(&self) -> bool {
            false
        }
    }

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
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "a     | one\nmarun | two\n");
    }

    /// Blocks in `write` until it is told to go on, and then fails.
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
    async fn agents_wait_for_a_reader_that_stands_still_and_go_on_without_one() {
        let (go_on, wait) = mpsc::channel();
        let output = Output::start(TEXT, Stuck(wait), None).unwrap();
        let name = Arc::from("a");
        // The first is taken out and fills the buffer of the sink, so that the rest must wait.
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
    async fn what_the_supervisor_says_takes_no_memory_without_bound() {
        let (_go_on, wait) = mpsc::channel();
        let output = Output::start(TEXT, Stuck(wait), None).unwrap();
        let lines = 2 * OWN_BYTES_WAITING / 1_000;
        for _ in 0..lines {
            output.own_line("x".repeat(1_000));
        }
        let left_out = output.shared.left_out.load(Ordering::Relaxed);
        assert!(left_out > 0 && left_out < lines as u64, "{left_out}");
    }

    /// Whether the future is done at once.
    async fn futures_poll(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        tokio::select! {
            biased;
            () = future => true,
            () = std::future::ready(()) => false,
        }
    }
}
