//! The one stream of the group's log, written by a thread of its own: a terminal that stands still must not
//! keep the supervisor from supervising.

use std::{
    io::{self, BufWriter, Write},
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::Duration,
};

use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, UnboundedReceiver, UnboundedSender, error::TryRecvError},
};
use tracing_subscriber::fmt::MakeWriter;

use super::{
    render::Format,
    screen::{Screen, Terminal},
    table::Row,
};

/// How many lines of agents may wait to be written. When they do, reading stops, and then the agents' own
/// writing: the log is slow, but complete.
const LINES_WAITING: usize = 1024;

/// How long the last lines may take to be written when the group is over.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The name and the number that the supervisor's own lines bear.
pub(crate) const OWN_NAME: &str = "marun";

/// The handle of the writing thread; clones write to the same stream.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    sender: UnboundedSender<Item>,
    permits: Arc<Semaphore>,
    has_table: bool,
}

#[derive(Debug)]
enum Item {
    Line {
        index: usize,
        name: Arc<str>,
        text: String,
        _permit: Option<OwnedSemaphorePermit>,
    },
    /// The status table from now on.
    Table(Vec<Row>),
    /// Everything before is written when the other end hears of it.
    Flush(std_mpsc::Sender<()>),
}

impl Output {
    /// Starts the thread that writes lines to `sink`, which may be a terminal.
    pub(crate) fn start(
        format: Format,
        sink: impl Write + Send + 'static,
        terminal: Option<Terminal>,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let has_table = terminal.is_some();
        let screen = Screen::new(BufWriter::new(sink), terminal);
        thread::Builder::new()
            .name("marun-log".to_owned())
            .spawn(move || write_all(receiver, &format, screen))?;
        Ok(Self {
            sender,
            permits: Arc::new(Semaphore::new(LINES_WAITING)),
            has_table,
        })
    }

    /// Whether somebody sees a status table.
    pub(crate) fn has_table(&self) -> bool {
        self.has_table
    }

    /// What the status table shows from now on; nothing takes it away.
    pub(crate) fn table(&self, rows: Vec<Row>) {
        let _ = self.sender.send(Item::Table(rows));
    }

    /// A line of an agent; waits while too many do.
    pub(crate) async fn line(&self, index: usize, name: &Arc<str>, text: String) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        self.send(index, name, text, permit);
    }

    /// A line of the supervisor. It never waits: these are few, and the supervisor has no time.
    fn own_line(&self, text: String) {
        self.send(0, &Arc::from(OWN_NAME), text, None);
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
        let (done, written) = std_mpsc::channel();
        if self.sender.send(Item::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

fn write_all(mut items: UnboundedReceiver<Item>, format: &Format, mut screen: Screen<impl Write>) {
    let mut broken = false;
    let mut next = items.blocking_recv();
    while let Some(item) = next {
        match item {
            Item::Line {
                index, name, text, ..
            } if !broken => {
                broken = complain(screen.write_line(&format.render(index, &name, &text)));
            }
            Item::Table(rows) if !broken => broken = complain(screen.set_rows(rows)),
            // Nobody reads any more; the agents go on, as with any log that lost its reader.
            Item::Line { .. } | Item::Table(_) => {}
            Item::Flush(done) => {
                broken = broken || complain(screen.flush());
                let _ = done.send(());
            }
        }
        next = match items.try_recv() {
            Ok(item) => Some(item),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                broken = broken || complain(screen.flush());
                items.blocking_recv()
            }
        };
    }
}

/// Says once that the log has lost its reader.
fn complain(result: io::Result<()>) -> bool {
    let Err(error) = result else {
        return false;
    };
    let _ = writeln!(
        io::stderr(),
        "marun: the log cannot be written any more, the agents go on: {error}"
    );
    true
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
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const TEXT: Format = Format::Text {
        width: 5,
        color: false,
        terminal: false,
    };

    #[tokio::test]
    async fn lines_keep_their_order_and_a_flush_waits_for_them() {
        let sink = Sink::default();
        let output = Output::start(TEXT, sink.clone(), None).unwrap();
        output.line(1, &Arc::from("a"), "one".to_owned()).await;
        writeln!(output.make_writer(), "two").unwrap();
        output.flush();
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "a     | one\nmarun | two\n");
    }

    /// Blocks in `write` until it is told to go on, and then fails.
    struct Stuck(std_mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn agents_wait_for_a_reader_that_stands_still_and_go_on_without_one() {
        let (go_on, wait) = std_mpsc::channel();
        let output = Output::start(TEXT, Stuck(wait), None).unwrap();
        let name = Arc::from("a");
        // The first is taken out and fills the buffer of the sink, so that the rest must wait.
        output.line(0, &name, "x".repeat(100_000)).await;
        while output.permits.available_permits() > 0 {
            output.line(0, &name, String::new()).await;
        }
        let blocked = output.line(0, &name, String::new());
        tokio::pin!(blocked);
        let polled = futures_poll(&mut blocked).await;
        assert!(!polled, "no permit is left");
        drop(go_on);
        blocked.await;
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
