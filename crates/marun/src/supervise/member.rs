//! The tasks for one member: they receive its reports and copy its output.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, pipe},
    },
    sync::mpsc::{Receiver, Sender},
};

use super::{
    board::Board,
    line_splitter::LineSplitter,
    output::{OWN_NAME, Output},
};
use crate::member::control::{self, Question, Report};

/// The longest report in bytes; agents send shorter ones. The status of an agent has less than 1 KiB
/// per handler.
const MAX_REPORT: usize = 4 * 1024 * 1024;

/// An event on the control socket of a member.
#[derive(Debug)]
pub(crate) enum ControlEvent {
    /// The member has sent a report.
    Report(Report),
    /// The member has closed the socket; no more reports follow.
    Closed,
}

/// Sends the control events of one member to the supervisor. It waits while too many events wait.
pub(crate) struct Reports {
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    pub(crate) sender: Sender<(usize, ControlEvent)>,
    /// Gets the statuses.
    pub(crate) board: Board,
}

impl Reports {
    async fn send(&self, event: ControlEvent) {
        // It fails only if the supervisor has ended.
        let _ = self.sender.send((self.index, event)).await;
    }
}

/// Sends a member its assignment, forwards its reports, and then sends [`ControlEvent::Closed`].
///
/// The socket stays open until the member closes it, because a closed socket tells a member that
/// its supervisor is gone.
pub(crate) async fn talk_to_member(
    socket: std::os::unix::net::UnixStream,
    assignment: Vec<u8>,
    end_is_ready: bool,
    reports: Reports,
) {
    let questions = reports.board.connect(reports.index);
    // An error of the socket means that the member is ending; its exit status says more.
    let reported = exchange(socket, &assignment, &reports, questions).await;
    if end_is_ready && matches!(reported, Ok(false)) {
        reports.send(ControlEvent::Report(Report::Ready)).await;
    }
    reports.send(ControlEvent::Closed).await;
}

/// Exchanges messages until the socket is closed. Returns whether the member has reported anything.
async fn exchange(
    socket: std::os::unix::net::UnixStream,
    assignment: &[u8],
    reports: &Reports,
    questions: Receiver<Question>,
) -> io::Result<bool> {
    socket.set_nonblocking(true)?;
    let (reader, mut writer) = UnixStream::from_std(socket)?.into_split();
    writer.write_all(assignment).await?;
    tokio::select! {
        reported = receive(reader, reports) => reported,
        never = ask(writer, questions) => never,
    }
}

/// Sends questions to the member. It never returns, because its end would close the socket; the end
/// of the member's side is noticed by who reads.
async fn ask(mut writer: OwnedWriteHalf, mut questions: Receiver<Question>) -> io::Result<bool> {
    while let Some(question) = questions.recv().await {
        if writer.write_all(&control::line(&question)?).await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// Receives reports. Returns whether there was any when the socket is closed.
async fn receive(reader: OwnedReadHalf, reports: &Reports) -> io::Result<bool> {
    let (mut reader, mut line) = (BufReader::new(reader), Vec::new());
    let (mut reported, mut has_warned) = (false, false);
    while next_line(&mut reader, &mut line).await? {
        match serde_json::from_slice(&line) {
            Ok(Report::Status(status)) => reports.board.answered(reports.index, *status),
            Ok(report) => {
                reported = true;
                reports.send(ControlEvent::Report(report)).await;
            }
            Err(_) if has_warned => {}
            Err(error) => {
                has_warned = true;
                let member = &*reports.name;
                tracing::error!(target: OWN_NAME, member, %error, "invalid report; ignoring it");
            }
        }
    }
    Ok(reported)
}

/// Reads the next line, cut after [`MAX_REPORT`] bytes to bound the memory. Returns false at the
/// end of the stream.
async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    loop {
        let bytes = reader.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        let room = MAX_REPORT - line.len();
        line.extend_from_slice(&piece[..piece.len().min(room)]);
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// A flag that is set while output of a member waits to be written. The member itself then waits if
/// it prints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backpressure(Arc<AtomicBool>);

impl Backpressure {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the flag while the line waits.
    async fn during(&self, line: impl Future<Output = ()>) {
        self.0.store(true, Ordering::Relaxed);
        line.await;
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Copies the output of a member to the common log, line by line, until the last process has closed
/// the pipe.
pub(crate) async fn copy_output(
    pipe_reader: io::PipeReader,
    index: usize,
    name: Arc<str>,
    to: Output,
    backpressure: Backpressure,
) {
    if let Err(error) = copy_lines(pipe_reader, index, &name, &to, &backpressure).await {
        tracing::error!(member = &*name, %error, "cannot read the output");
    }
}

async fn copy_lines(
    pipe_reader: io::PipeReader,
    index: usize,
    name: &Arc<str>,
    to: &Output,
    backpressure: &Backpressure,
) -> io::Result<()> {
    let mut pipe_reader = pipe::Receiver::from_owned_fd(OwnedFd::from(pipe_reader))?;
    let mut lines = LineSplitter::default();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let length = pipe_reader.read(&mut chunk).await?;
        if length == 0 {
            break;
        }
        for line in lines.push(&chunk[..length]) {
            backpressure.during(to.line(index, name, line)).await;
        }
    }
    if let Some(line) = lines.finish() {
        to.line(index, name, line).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_line_without_end_takes_a_bounded_amount_of_memory() {
        let bytes = [vec![b'x'; 3 * MAX_REPORT], b"\n\"ready\"\nlast".to_vec()].concat();
        let (mut reader, mut line) = (bytes.as_slice(), Vec::new());
        let mut lengths = Vec::new();
        while next_line(&mut reader, &mut line).await.unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [MAX_REPORT, 7, 4]);
        assert!(line.capacity() < 3 * MAX_REPORT);
    }

    #[tokio::test]
    async fn an_invalid_report_is_ignored() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (sender, mut receiver) = channel(1);
        let reports = Reports {
            index: 7,
            name: Arc::from("a"),
            sender,
            board: Board::new(std::iter::empty()),
        };
        tokio::spawn(talk_to_member(ours, b"hello\n".to_vec(), false, reports));
        let bytes = [&[b'x'; 2 * MAX_REPORT], &b"\n{}\n\"ready\"\n"[..]].concat();
        let writing = std::thread::spawn(move || {
            io::Write::write_all(&mut (&theirs), &bytes).unwrap();
            theirs
        });
        let report = receiver.recv().await.unwrap();
        assert!(
            matches!(report, (7, ControlEvent::Report(Report::Ready))),
            "{report:?}"
        );
        drop(writing.join().unwrap());
        assert!(matches!(
            receiver.recv().await,
            Some((7, ControlEvent::Closed))
        ));
    }
}
