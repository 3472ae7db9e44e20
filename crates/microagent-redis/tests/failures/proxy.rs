//! A way to a server that can be led elsewhere, as the address of a primary is after a fail-over, and that can fail at the very
//! command that a test names.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

/// Passes connections on to an address.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    to: Mutex<String>,
    fault: Mutex<Option<(Vec<u8>, Fault)>>,
    /// The delay of each answer.
    delay: Mutex<Duration>,
    made: AtomicUsize,
}

/// The fault of the connection on which a command is seen, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The command does not arrive, nothing more is answered, and the connection stays open.
    Silence,
    /// The command arrives, nothing more is answered, and the connection stays open.
    Mute,
    /// The command is carried out, and instead of its answer the connection is cut.
    Cut,
    /// The command arrives late; by then its sender has given up.
    Late(Duration),
    /// From now on each answer is so late, on all connections, until [`Proxy::delay_answers`] says otherwise.
    Stall(Duration),
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            to: Mutex::new(address),
            ..State::default()
        });
        let accepting = tokio::spawn(accept(listener, state.clone()));
        Self {
            port,
            state,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub(crate) fn dsn(&self) -> String {
        format!("redis://127.0.0.1:{}/7", self.port)
    }

    /// New connections go there; those that are open stay.
    pub(crate) fn lead_to(&self, address: String) {
        *self.state.to.lock().unwrap() = address;
    }

    /// The next command whose bytes contain this meets the fault.
    pub(crate) fn fail_at(&self, command: &str, fault: Fault) {
        *self.state.fault.lock().unwrap() = Some((command.as_bytes().to_vec(), fault));
    }

    /// True if the fault has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.fault.lock().unwrap().is_none()
    }

    /// From now on each answer is so late, on all connections.
    pub(crate) fn delay_answers(&self, by: Duration) {
        *self.state.delay.lock().unwrap() = by;
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.made.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (inner, _) = listener.accept().await.unwrap();
        state.made.fetch_add(1, Ordering::Relaxed);
        let to = state.to.lock().unwrap().clone();
        let state = state.clone();
        tokio::spawn(async move {
            if let Ok(outer) = TcpStream::connect(to).await {
                pass(inner, outer, state).await;
            }
        });
    }
}

/// Ends, and both connections with it, when one of the ways does.
async fn pass(inner: TcpStream, outer: TcpStream, state: Arc<State>) {
    let (from_client, to_client) = inner.into_split();
    let (from_server, to_server) = outer.into_split();
    let (answers, queued) = mpsc::unbounded_channel();
    let cut = Arc::new(AtomicBool::new(false));
    let mute = Arc::new(AtomicBool::new(false));
    tokio::select! {
        () = commands(from_client, to_server, &state, &cut, &mute) => {}
        () = receive(from_server, answers, &state, &cut) => {}
        () = answer(queued, to_client, &mute) => {}
    }
}

async fn commands(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    cut: &AtomicBool,
    mute: &AtomicBool,
) {
    let mut bytes = Vec::with_capacity(1 << 16);
    while matches!(from.read_buf(&mut bytes).await, Ok(1..)) {
        match state.fault_of(&bytes) {
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::Mute) => mute.store(true, Ordering::SeqCst),
            Some(Fault::Cut) => cut.store(true, Ordering::SeqCst),
            Some(Fault::Late(by)) => {
                // Its sender's end is not heard of meanwhile, so that the command arrives.
                sleep(by).await;
            }
            Some(Fault::Stall(by)) => *state.delay.lock().unwrap() = by,
            None => {}
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

async fn receive(
    mut from: OwnedReadHalf,
    answers: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
    state: &State,
    cut: &AtomicBool,
) {
    let mut bytes = Vec::with_capacity(1 << 16);
    while matches!(from.read_buf(&mut bytes).await, Ok(1..)) {
        if cut.load(Ordering::SeqCst) {
            return;
        }
        let at = Instant::now() + *state.delay.lock().unwrap();
        let _ = answers.send((at, std::mem::take(&mut bytes)));
    }
    // Answers from before the end arrive.
    drop(answers);
    std::future::pending::<()>().await;
}

async fn answer(
    mut queued: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    mute: &AtomicBool,
) {
    while let Some((at, bytes)) = queued.recv().await {
        sleep_until(at).await;
        if !mute.load(Ordering::SeqCst) && to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

impl State {
    fn fault_of(&self, bytes: &[u8]) -> Option<Fault> {
        let mut fault = self.fault.lock().unwrap();
        let (command, _) = fault.as_ref()?;
        bytes
            .windows(command.len())
            .any(|part| part == command.as_slice())
            .then(|| fault.take())
            .flatten()
            .map(|(_, fault)| fault)
    }
}
