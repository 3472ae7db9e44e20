//! The tasks that listen to one member: its report and its output. They decide nothing.

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixStream, unix::pipe},
};

use super::{lines::Lines, output::Output};
use crate::process::control::Report;

/// What is heard of a member over its control socket.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Its report.
    Report(Report),
    /// Nothing more will come.
    End,
}

/// Tells a member what it is and passes its report on, then [`Heard::End`]. It holds the socket until the member
/// closes it: the socket's end is how a member hears that its supervisor is gone.
pub(crate) async fn converse(
    control: std::os::unix::net::UnixStream,
    assignment: Vec<u8>,
    end_is_ready: bool,
    hear: impl Fn(Heard),
) {
    // Where the socket breaks, the member is gone or going; how it ended says more.
    let reported = talk(control, &assignment, &hear).await;
    if end_is_ready && matches!(reported, Ok(false)) {
        hear(Heard::Report(Report::Ready));
    }
    hear(Heard::End);
}

/// Whether the member has reported by the end of the conversation.
async fn talk(
    control: std::os::unix::net::UnixStream,
    assignment: &[u8],
    hear: &impl Fn(Heard),
) -> io::Result<bool> {
    control.set_nonblocking(true)?;
    let (reader, mut writer) = UnixStream::from_std(control)?.into_split();
    writer.write_all(assignment).await?;
    let mut lines = BufReader::new(reader).lines();
    let mut reported = false;
    while let Some(line) = lines.next_line().await? {
        reported = true;
        hear(Heard::Report(
            serde_json::from_str(&line).map_err(io::Error::other)?,
        ));
    }
    Ok(reported)
}

/// Copies what a member prints into the common log, line by line, until nobody can print any more.
pub(crate) async fn copy_output(printed: io::PipeReader, index: usize, name: Arc<str>, to: Output) {
    if let Err(error) = copy_lines(printed, index, &name, &to).await {
        tracing::error!("the output of {name} cannot be read any more: {error}");
    }
}

async fn copy_lines(
    printed: io::PipeReader,
    index: usize,
    name: &Arc<str>,
    to: &Output,
) -> io::Result<()> {
    let mut printed = pipe::Receiver::from_owned_fd(OwnedFd::from(printed))?;
    let mut lines = Lines::default();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let length = printed.read(&mut chunk).await?;
        if length == 0 {
            break;
        }
        for line in lines.push(&chunk[..length]) {
            to.line(index, name, line).await;
        }
    }
    if let Some(line) = lines.finish() {
        to.line(index, name, line).await;
    }
    Ok(())
}
