//! The task of a connection: dials, serves, and dials again until the last handle is closed.

mod commands;
mod serve;

use std::{pin::pin, sync::Arc, time::Duration};

use microagent_core::{Error, ErrorKind, Result, driver::Backoff};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, info, warn};

use self::serve::EndReason;
use crate::{
    connection::{
        LinkEnd,
        command::{Command, Epoch},
        consumers::Consumers,
        dial::dial,
        pending::{PendingRequests, WaitingRequests},
        subscriptions::Subscriptions,
    },
    host::HostElection,
    log_limit::LogLimit,
};

/// The pauses before reconnecting. If a host dies, one of its clients replaces it within milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A connection that lasts this long resets the pauses. A shorter one may have failed in the same way as the
/// one before.
const STABLE_AFTER: Duration = Duration::from_secs(10);

static LOST_LIMIT: LogLimit = LogLimit::new();

/// The state of a connection that survives its interruptions.
#[derive(Debug)]
pub(super) struct ConnectionTask {
    election: Arc<HostElection>,
    commands: mpsc::UnboundedReceiver<Command>,
    link: LinkEnd,
    epoch: Epoch,
    pending: PendingRequests,
    waiting: WaitingRequests,
    subscriptions: Subscriptions,
    consumers: Consumers,
    /// The handles that wait until the connection has ended.
    leaving: Vec<oneshot::Sender<Result<()>>>,
}

impl ConnectionTask {
    pub(super) fn new(
        election: Arc<HostElection>,
        commands: mpsc::UnboundedReceiver<Command>,
        link: LinkEnd,
    ) -> Self {
        Self {
            election,
            commands,
            link,
            epoch: 0,
            pending: PendingRequests::default(),
            waiting: WaitingRequests::default(),
            subscriptions: Subscriptions::default(),
            consumers: Consumers::default(),
            leaving: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let dialling = dial(self.election.clone());
            let Some(dialled) = self.offline(dialling).await else {
                break;
            };
            match dialled {
                Ok(stream) => {
                    self.up();
                    let since = Instant::now();
                    match self.serve(stream).await {
                        EndReason::Lost(reason) => self.lost(&reason),
                        EndReason::Unused => break,
                    }
                    if !self.leaving.is_empty() {
                        // The goodbye was not answered, and is not repeated.
                        break;
                    }
                    // A hub that closes each connection at once must not be dialled in a tight loop.
                    if since.elapsed() >= STABLE_AFTER {
                        backoff.reset();
                    }
                }
                Err(error) => self.down(error),
            }
            if self.offline(sleep(backoff.next_pause())).await.is_none() {
                break;
            }
        }
        self.end().await;
    }

    fn up(&mut self) {
        self.epoch += 1;
        debug!(folder = %self.election.folder().path().display(), "connected to the hub");
        self.link.up(self.epoch);
    }

    fn lost(&mut self, reason: &str) {
        // Recorded first, so that a handle that learns of the loss finds it recorded.
        self.link.down(Error::new(ErrorKind::Unavailable, reason));
        self.pending.fail(reason);
        self.subscriptions.lost(reason);
        if let Some(omitted) = LOST_LIMIT.admit() {
            let folder = self.election.folder().path().display();
            info!(%folder, reason, omitted, "connection to the hub lost; reconnecting");
        }
    }

    fn down(&mut self, error: Error) {
        let known = self.link.reason().map(|(kind, _)| kind);
        if known == Some(error.kind()) {
            debug!(%error, "cannot connect to the hub; retrying");
        } else {
            warn!(%error, "cannot connect to the hub; will keep retrying");
        }
        self.link.down(error);
    }

    /// Handles commands without a connection until `until` resolves. Returns `None` if the connection must end.
    async fn offline<T>(&mut self, until: impl Future<Output = T>) -> Option<T> {
        let mut until = pin!(until);
        loop {
            let end = self.waiting.next_end();
            tokio::select! {
                done = &mut until => return Some(done),
                command = self.commands.recv() => self.handle_command(command?, None).ok()?,
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => self.expire(),
            }
        }
    }

    fn expire(&mut self) {
        let reason = self.link.reason().map(|(_, text)| text);
        let reason = reason.as_deref().unwrap_or("the hub does not answer");
        self.waiting.expire(reason);
    }

    /// Releases the folder, and answers the handles that wait for that.
    async fn end(self) {
        let closed = Error::new(ErrorKind::Closed, "the connection was closed");
        self.link.down(closed);
        let retired = self.election.retire().await;
        for leaving in self.leaving {
            let result = match &retired {
                Ok(()) => Ok(()),
                Err(error) => Err(error.without_source()),
            };
            let _ = leaving.send(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use futures_util::StreamExt;
    use microagent_core::SignalBus;
    use tokio::{io::split, net::UnixListener, time::timeout};
    use tokio_util::codec::FramedRead;

    use crate::{
        LocalBus, LocalOptions,
        protocol::{ClientFrame, HubCodec, HubFrame, Request, SendBuffer, VERSION},
    };

    use super::*;

    /// Answers every request, and ends at the first goodbye.
    async fn die_of_a_farewell(hub: UnixListener) {
        let (stream, _) = hub.accept().await.unwrap();
        let (reader, writer) = split(stream);
        let mut reader = FramedRead::new(reader, HubCodec);
        let mut writer = SendBuffer::new(writer, HubCodec);
        while let Some(frame) = reader.next().await {
            let answer = match frame.unwrap() {
                ClientFrame::Hello(_) => HubFrame::Welcome { version: VERSION },
                ClientFrame::Request(_, Request::Goodbye) => return,
                ClientFrame::Request(id, _) => HubFrame::Done(id, Ok(())),
                ClientFrame::Ping => HubFrame::Pong,
            };
            writer.put(answer).unwrap();
            writer.flush().await.unwrap();
        }
    }

    /// Welcomes each client and closes its connection a little later than after a second. Returns the pauses
    /// before each reconnect.
    async fn let_go_again_and_again(hub: UnixListener, times: usize) -> Vec<Duration> {
        let (mut pauses, mut since) = (Vec::new(), None::<Instant>);
        while pauses.len() < times {
            let (stream, _) = hub.accept().await.unwrap();
            pauses.extend(since.map(|since| since.elapsed()));
            let (reader, writer) = split(stream);
            let mut reader = FramedRead::new(reader, HubCodec);
            let mut writer = SendBuffer::new(writer, HubCodec);
            reader.next().await.unwrap().unwrap();
            writer.put(HubFrame::Welcome { version: VERSION }).unwrap();
            writer.flush().await.unwrap();
            sleep(Duration::from_millis(1200)).await;
            since = Some(Instant::now());
        }
        pauses
    }

    #[tokio::test]
    async fn a_hub_that_lets_go_after_a_while_is_dialled_with_growing_pauses() {
        let temp = tempfile::tempdir().unwrap();
        let lock = File::create(temp.path().join("lock")).unwrap();
        lock.try_lock().unwrap();
        let hub = UnixListener::bind(temp.path().join("hub.sock")).unwrap();
        let hub = tokio::spawn(let_go_again_and_again(hub, 6));

        let options = LocalOptions::parse(&format!("local:{}", temp.path().display())).unwrap();
        let bus = LocalBus::connect_apart(&options).await.unwrap();
        let pauses = timeout(Duration::from_secs(30), hub).await;
        let pauses = pauses.expect("six pauses").unwrap();
        assert!(pauses[5] >= Duration::from_millis(100), "{pauses:?}");
        drop(bus);
    }

    #[tokio::test]
    async fn a_client_that_said_goodbye_does_not_reconnect_if_the_hub_dies() {
        let temp = tempfile::tempdir().unwrap();
        // Another process hosts the folder.
        let lock = File::create(temp.path().join("lock")).unwrap();
        lock.try_lock().unwrap();
        let hub = UnixListener::bind(temp.path().join("hub.sock")).unwrap();
        let hub = tokio::spawn(die_of_a_farewell(hub));

        let options = LocalOptions::parse(&format!("local:{}", temp.path().display())).unwrap();
        let bus = LocalBus::connect_apart(&options).await.unwrap();
        let closed = timeout(Duration::from_secs(10), bus.close()).await;
        closed.expect("the end of the connection").unwrap();
        hub.await.unwrap();
    }
}
