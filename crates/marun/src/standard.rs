//! Standard output and standard error as sinks. A sink may be unable to accept bytes: a
//! non-blocking pipe, or a full disk.
//!
//! [`Standard`] waits until a non-blocking stream accepts bytes. [`LineStream`] also handles a sink
//! that returns errors for a while; it counts the lines that are dropped in that time.

use std::{
    io::{self, IsTerminal, Stderr, Stdout, Write},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use crate::terminal::shown_on;

/// The time that lines wait for a sink that returns errors, before lines are dropped.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses before a sink that returned an error is tried again: while lines wait, and while they
/// are dropped.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const LATER_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A sink for lines.
pub(crate) trait Sink: Write {
    /// Returns whether the sink is a terminal.
    fn is_terminal(&self) -> bool;
}

/// An unbuffered standard stream.
#[derive(Debug)]
pub(crate) struct Standard<S>(S);

impl Standard<Stdout> {
    /// Returns standard output.
    pub(crate) fn output() -> Self {
        Self(io::stdout())
    }
}

impl Standard<Stderr> {
    /// Returns standard error.
    pub(crate) fn error() -> Self {
        Self(io::stderr())
    }
}

impl<S: AsFd> Write for Standard<S>
where
    for<'a> &'a S: Write,
{
    /// Writes bytes. Waits while the stream is not ready, also if it is non-blocking.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Bytes that the program has printed may still be in the buffer of the standard library.
        let _ = (&self.0).flush();
        loop {
            match rustix::io::write(&self.0, bytes) {
                Ok(length) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_until_ready(&self.0)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: AsFd + IsTerminal> Sink for Standard<S>
where
    for<'a> &'a S: Write,
{
    fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }
}

/// Waits until the stream accepts bytes or its reader is gone.
fn wait_until_ready(stream: &impl AsFd) -> io::Result<()> {
    let mut streams = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut streams, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a line to standard output without buffering. Control characters are escaped on a
/// terminal.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let line = shown_on(&io::stdout(), line);
    Standard::output().write_all(format!("{line}\n").as_bytes())
}

/// Writes a message to standard error. Errors are ignored.
pub(crate) fn print_error(message: &str) {
    let lines: String = message
        .lines()
        .map(|line| format!("marun: {}\n", shown_on(&io::stderr(), line)))
        .collect();
    let _ = Standard::error().write_all(lines.as_bytes());
}

/// The result of writing the waiting bytes of a [`LineStream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// All bytes are written.
    Written,
    /// The sink returns errors. Lines must be dropped until it accepts bytes again.
    Refused,
}

/// The lines that were dropped, and the error of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingLines {
    pub(crate) lines: u64,
    pub(crate) reason: String,
}

/// A sink that may return errors for a while. Written bytes wait until
/// [`write_waiting`](Self::write_waiting).
#[derive(Debug)]
pub(crate) struct LineStream<S> {
    sink: S,
    /// Bytes that the sink has not accepted yet.
    waiting: Vec<u8>,
    refusal: Option<Refusal>,
    missing: u64,
    reason: String,
}

/// A period in which the sink returns errors.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    since: Instant,
    /// The time of the next attempt.
    retry_at: Instant,
}

impl<S: Sink> LineStream<S> {
    pub(crate) fn new(sink: S) -> Self {
        Self {
            sink,
            waiting: Vec::new(),
            refusal: None,
            missing: 0,
            reason: String::new(),
        }
    }

    /// Returns the number of waiting bytes.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns when [`write_waiting`](Self::write_waiting) is to be called again for a sink that
    /// returns errors; `None` for any other.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.refusal.map(|refusal| refusal.retry_at)
    }

    /// Counts dropped lines.
    pub(crate) fn drop_lines(&mut self, lines: u64) {
        self.missing += lines;
    }

    /// Returns the dropped lines that were not returned before, if the sink accepts bytes again.
    pub(crate) fn take_missing(&mut self) -> Option<MissingLines> {
        if self.refusal.is_some() {
            return None;
        }
        self.take_all_missing()
    }

    /// Returns the dropped lines that were not returned before.
    pub(crate) fn take_all_missing(&mut self) -> Option<MissingLines> {
        let lines = std::mem::take(&mut self.missing);
        (lines > 0).then(|| MissingLines {
            lines,
            reason: self.reason.clone(),
        })
    }

    /// Writes the waiting bytes. If the sink returns errors, it retries for a few seconds.
    ///
    /// # Errors
    /// Returns an error if the reader is gone.
    pub(crate) fn write_waiting(&mut self) -> io::Result<WriteOutcome> {
        while !self.waiting.is_empty() {
            match self.sink.write(&self.waiting) {
                Ok(length) if length > 0 => {
                    self.waiting.drain(..length);
                    self.refusal = None;
                }
                Ok(_) => self.refuse(&io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_final(&error, &self.sink) => return Err(error),
                Err(error) => self.refuse(&error),
            }
            match self.refusal {
                Some(refusal) if refusal.since.elapsed() >= REFUSAL_TIMEOUT => {
                    return Ok(WriteOutcome::Refused);
                }
                #[expect(clippy::disallowed_methods, reason = "no event reports free space")]
                Some(_) => thread::sleep(RETRY_PAUSE),
                None => {}
            }
        }
        Ok(WriteOutcome::Written)
    }

    fn refuse(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.reason = error.to_string();
        self.refusal = Some(Refusal {
            since: self.refusal.map_or(now, |refusal| refusal.since),
            retry_at: now + LATER_RETRY_PAUSE,
        });
    }
}

impl<S> Write for LineStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whether the error is permanent: the reader or the terminal is gone, or there never was
/// one.
fn is_final(error: &io::Error, sink: &impl Sink) -> bool {
    match Errno::from_io_error(error) {
        Some(Errno::IO) => sink.is_terminal(),
        Some(error) => [Errno::PIPE, Errno::CONNRESET, Errno::BADF, Errno::NXIO].contains(&error),
        None => error.kind() == io::ErrorKind::BrokenPipe,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A sink that keeps what is written to it; clones share it.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

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

    /// A sink with a list of results for its writes. When the list is empty, it accepts everything.
    #[derive(Default)]
    struct Scripted {
        answers: VecDeque<Result<usize, Errno>>,
        written: Vec<u8>,
        is_terminal: bool,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = self.answers.pop_front().unwrap_or(Ok(bytes.len()))?;
            self.written.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Scripted {
        fn is_terminal(&self) -> bool {
            self.is_terminal
        }
    }

    fn stream(answers: impl IntoIterator<Item = Result<usize, Errno>>) -> LineStream<Scripted> {
        let answers = answers.into_iter().collect();
        let mut stream = LineStream::new(Scripted {
            answers,
            ..Scripted::default()
        });
        stream.write_all(b"one\ntwo\n").unwrap();
        stream
    }

    #[test]
    fn a_write_continues_after_partial_writes_and_errors() {
        let refusals = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::IO].map(Err);
        let mut stream = stream([Ok(2)].into_iter().chain(refusals).chain([Ok(1)]));
        assert_eq!(stream.write_waiting().unwrap(), WriteOutcome::Written);
        assert_eq!(stream.sink.written, b"one\ntwo\n");
        assert_eq!((stream.waiting(), stream.take_missing()), (0, None));
    }

    #[test]
    fn only_a_reader_that_is_gone_is_a_permanent_error() {
        for error in [Errno::PIPE, Errno::CONNRESET, Errno::BADF] {
            assert!(stream([Err(error)]).write_waiting().is_err(), "{error}");
        }
        let mut closed_terminal = stream([Err(Errno::IO)]);
        closed_terminal.sink.is_terminal = true;
        assert!(closed_terminal.write_waiting().is_err());
    }

    #[test]
    fn dropped_lines_are_counted_until_the_sink_accepts_bytes_again() {
        let mut stream = stream([Ok(1)].into_iter().chain([Err(Errno::NOSPC); 100]));
        assert_eq!(stream.write_waiting().unwrap(), WriteOutcome::Refused);
        stream.drop_lines(7);
        assert!(stream.retry_at().is_some());
        assert_eq!(
            stream.write_waiting().unwrap(),
            WriteOutcome::Refused,
            "at once now"
        );
        assert_eq!(stream.take_missing(), None, "it still refuses");
        stream.sink.answers.clear();
        assert_eq!(stream.write_waiting().unwrap(), WriteOutcome::Written);
        assert_eq!(stream.sink.written, b"one\ntwo\n");
        let missing = stream.take_missing().unwrap();
        assert_eq!(missing.lines, 7);
        assert!(missing.reason.contains("No space left"), "{missing:?}");
        assert_eq!((stream.retry_at(), stream.take_missing()), (None, None));
    }
}
