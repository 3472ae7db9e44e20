//! The standard streams as sinks that are not always ready: a pipe may be non-blocking, a disk full, a reader gone.
//!
//! [`Standard`] waits until a non-blocking stream takes bytes. [`LineStream`] also outlives a sink that refuses them for a
//! while, and counts the lines that are left out then. Neither knows what is written.

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

/// How long lines wait for a sink that refuses them, before they are left out.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before a sink that refuses is tried again: while lines wait, and after that.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const LATER_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where lines can be written to.
pub(crate) trait Sink: Write {
    /// Whether it is a terminal.
    fn is_terminal(&self) -> bool;
}

/// A standard stream, without a buffer.
#[derive(Debug)]
pub(crate) struct Standard<S>(S);

impl Standard<Stdout> {
    /// Standard output.
    pub(crate) fn output() -> Self {
        Self(io::stdout())
    }
}

impl Standard<Stderr> {
    /// Standard error.
    pub(crate) fn error() -> Self {
        Self(io::stderr())
    }
}

impl<S: AsFd> Write for Standard<S>
where
    for<'a> &'a S: Write,
{
    /// Waits while the stream is not ready, also if it is non-blocking.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Bytes that the program has printed and that are still in the buffer come first.
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

/// Returns when the stream takes bytes, or when its reader is gone.
fn wait_until_ready(stream: &impl AsFd) -> io::Result<()> {
    let mut streams = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut streams, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a line to standard output at once; on a terminal without control characters.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let line = shown_on(&io::stdout(), line);
    Standard::output().write_all(format!("{line}\n").as_bytes())
}

/// Writes a message for people to standard error; whether somebody reads it or not, the work goes on.
pub(crate) fn print_error(message: &str) {
    let lines: String = message
        .lines()
        .map(|line| format!("marun: {}\n", shown_on(&io::stderr(), line)))
        .collect();
    let _ = Standard::error().write_all(lines.as_bytes());
}

/// What has become of the bytes of a [`LineStream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// All of them are written.
    Written,
    /// The sink refuses them; lines are left out until it takes them again.
    Refused,
}

/// Lines that are missing because the sink refused them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingLines {
    pub(crate) lines: u64,
    pub(crate) reason: String,
}

/// A sink that may refuse bytes for a while. What is written to it waits until [`write_waiting`](Self::write_waiting).
#[derive(Debug)]
pub(crate) struct LineStream<S> {
    sink: S,
    /// Bytes that the sink has not taken yet.
    waiting: Vec<u8>,
    refusal: Option<Refusal>,
    missing: u64,
    reason: String,
}

/// A sink that refuses.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    since: Instant,
    /// When it is tried again.
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

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When a sink that refuses is to be tried again by [`write_waiting`](Self::write_waiting); none if it does not refuse.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.refusal.map(|refusal| refusal.retry_at)
    }

    /// Counts a line that is left out.
    pub(crate) fn drop_lines(&mut self, lines: u64) {
        self.missing += lines;
    }

    /// The lines that are missing and were not told of, if the sink takes bytes again.
    pub(crate) fn take_missing(&mut self) -> Option<MissingLines> {
        if self.refusal.is_some() {
            return None;
        }
        self.take_all_missing()
    }

    /// The lines that are missing and were not told of.
    pub(crate) fn take_all_missing(&mut self) -> Option<MissingLines> {
        let lines = std::mem::take(&mut self.missing);
        (lines > 0).then(|| MissingLines {
            lines,
            reason: self.reason.clone(),
        })
    }

    /// Writes what waits. It tries again for a few seconds if the sink refuses.
    ///
    /// # Errors
    /// The reader is gone.
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

/// Whether nobody can read any more: the reader is gone, or the terminal is, or there never was one.
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

    /// Answers each write from a list, and takes everything when that is empty.
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
    fn a_write_goes_on_where_the_sink_has_stopped() {
        let refusals = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::IO].map(Err);
        let mut stream = stream([Ok(2)].into_iter().chain(refusals).chain([Ok(1)]));
        assert_eq!(stream.write_waiting().unwrap(), WriteOutcome::Written);
        assert_eq!(stream.sink.written, b"one\ntwo\n");
        assert_eq!((stream.waiting(), stream.take_missing()), (0, None));
    }

    #[test]
    fn only_a_reader_that_is_gone_is_final() {
        for error in [Errno::PIPE, Errno::CONNRESET, Errno::BADF] {
            assert!(stream([Err(error)]).write_waiting().is_err(), "{error}");
        }
        let mut closed_terminal = stream([Err(Errno::IO)]);
        closed_terminal.sink.is_terminal = true;
        assert!(closed_terminal.write_waiting().is_err());
    }

    #[test]
    fn lines_that_are_left_out_are_counted_until_the_sink_takes_bytes_again() {
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
