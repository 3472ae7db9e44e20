//! Runs a group of processes: starts them, watches them, ends them. It knows processes, not messages.
//!
//! `group.rs` decides, this file does: it turns what happens outside into calls of [`Group`] and its [`Action`]s
//! into signals and log lines. `spawn.rs` starts one, `member.rs` listens to it, `reap.rs` collects the dead,
//! `lines.rs` → `output.rs` → `render.rs` is the way of a log line.

mod ending;
mod group;
mod lines;
mod member;
mod output;
mod reap;
mod render;
mod spawn;

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tracing::Level;

use self::{
    ending::Ending,
    group::{Action, Group, StopSignal},
    member::Heard,
};
pub(crate) use self::{
    output::{OWN_NAME, Output},
    render::Format,
    spawn::{Kind, Launch},
};
use crate::process::{control::Report, sentinel};

/// How long the output of members that are gone may take to arrive. Only a process that left its group on purpose
/// can hold a pipe open longer.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Runs the members until the last one is gone; whether all went well.
///
/// The thread that runs this must live as long as the supervisor, see `spawn`.
///
/// # Errors
/// Where signals cannot be listened to or the sentinel cannot be started; then nothing was started.
pub(crate) async fn supervise(launches: Vec<Launch>, output: Output) -> io::Result<bool> {
    let events = Events::listen()?;
    let mut supervisor = Supervisor::new(&launches, output)?;
    supervisor.start_all(launches, &events.hear);
    supervisor.run(events).await;
    supervisor.finish_output().await;
    Ok(!supervisor.group.has_failed())
}

/// Everything that can happen to a supervisor.
enum Event {
    ChildEnded,
    StopAsked(StopSignal),
    Heard(usize, Heard),
    DeadlinePassed,
}

struct Events {
    child: SignalStream,
    interrupt: SignalStream,
    terminate: SignalStream,
    hear: UnboundedSender<(usize, Heard)>,
    heard: UnboundedReceiver<(usize, Heard)>,
}

impl Events {
    /// Must come before the first child, whose end would go unheard otherwise.
    fn listen() -> io::Result<Self> {
        let (hear, heard) = unbounded_channel();
        Ok(Self {
            child: signal(SignalKind::child())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hear,
            heard,
        })
    }

    async fn next(&mut self, deadline: Option<Instant>) -> Event {
        let deadline_passed = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In this order: what a member reported before it ended is heard before its end.
            biased;
            _ = self.interrupt.recv() => Event::StopAsked(StopSignal::Interrupt),
            _ = self.terminate.recv() => Event::StopAsked(StopSignal::Terminate),
            Some((index, heard)) = self.heard.recv() => Event::Heard(index, heard),
            _ = self.child.recv() => Event::ChildEnded,
            () = deadline_passed => Event::DeadlinePassed,
        }
    }
}

struct Supervisor {
    group: Group,
    children: Vec<Child>,
    sentinel: Option<Sentinel>,
    output: Output,
    copies: JoinSet<()>,
}

/// What the supervisor knows of a member's process. It is over when it has ended *and* all that it reported is
/// heard, so that an end never overtakes a report.
#[derive(Clone, Copy, Default)]
struct Child {
    pid: Option<Pid>,
    ending: Option<Ending>,
    all_heard: bool,
}

struct Sentinel {
    pid: Pid,
    pipe: io::PipeWriter,
}

impl Supervisor {
    fn new(launches: &[Launch], output: Output) -> io::Result<Self> {
        let mut group = Group::new();
        for launch in launches {
            group.add(&launch.name, launch.grace, launch.ready_timeout);
        }
        let (pid, pipe) = spawn::spawn_sentinel()?;
        Ok(Self {
            group,
            children: vec![Child::default(); launches.len()],
            sentinel: Some(Sentinel { pid, pipe }),
            output,
            copies: JoinSet::new(),
        })
    }

    fn start_all(&mut self, launches: Vec<Launch>, hear: &UnboundedSender<(usize, Heard)>) {
        for (index, launch) in launches.into_iter().enumerate() {
            let name = launch.name.clone();
            match self.start(index, launch, hear) {
                Ok(pid) => tracing::info!("{name} is started as process {pid}"),
                Err(error) => {
                    let why = error.to_string();
                    let actions = self.group.failed_to_start(index, &why, Instant::now());
                    return self.perform(actions);
                }
            }
        }
    }

    fn start(
        &mut self,
        index: usize,
        launch: Launch,
        hear: &UnboundedSender<(usize, Heard)>,
    ) -> io::Result<Pid> {
        let spawned = spawn::spawn(&launch)?;
        self.children[index].pid = Some(spawned.pid);
        self.group.started(index, Instant::now());
        // Before it becomes what it is: until it has its assignment it has started nothing and ends by itself.
        self.tell_sentinel(spawned.pid, true);
        let end_is_ready = matches!(launch.kind, Kind::Command);
        let (name, output) = (Arc::from(launch.name), self.output.clone());
        self.copies
            .spawn(member::copy_output(spawned.output, index, name, output));
        let hear = hear.clone();
        let hear = move |heard| drop(hear.send((index, heard)));
        tokio::spawn(member::converse(
            spawned.control,
            launch.assignment,
            end_is_ready,
            hear,
        ));
        Ok(spawned.pid)
    }

    async fn run(&mut self, mut events: Events) {
        while !self.group.is_over() {
            let event = events.next(self.group.deadline()).await;
            let now = Instant::now();
            let actions = match event {
                Event::ChildEnded => self.reap(now),
                Event::StopAsked(signal) => self.group.stop(signal, now),
                Event::Heard(index, heard) => self.hear(index, heard, now),
                Event::DeadlinePassed => self.group.tick(now),
            };
            self.perform(actions);
        }
    }

    fn perform(&self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Terminate(index) => self.signal(index, kill_process, Signal::TERM),
                Action::Kill(index) => self.signal(index, kill_process_group, Signal::KILL),
                Action::Tell(Level::ERROR, text) => tracing::error!("{text}"),
                Action::Tell(Level::WARN, text) => tracing::warn!("{text}"),
                Action::Tell(_, text) => tracing::info!("{text}"),
            }
        }
    }

    fn signal(
        &self,
        index: usize,
        send: fn(Pid, Signal) -> rustix::io::Result<()>,
        signal: Signal,
    ) {
        let Some(pid) = self.children[index].pid else {
            return;
        };
        // A child that is not collected yet keeps its number, so this cannot meet a stranger.
        if let Err(error) = send(pid, signal) {
            tracing::error!("process {pid} cannot be sent a signal: {error}");
        }
    }

    fn hear(&mut self, index: usize, heard: Heard, now: Instant) -> Vec<Action> {
        match heard {
            Heard::Report(Report::Ready) => self.group.ready(index),
            Heard::Report(Report::Failed(why)) => self.group.failed_to_start(index, &why, now),
            Heard::End => {
                self.children[index].all_heard = true;
                self.end_if_over(index, now)
            }
        }
    }

    fn reap(&mut self, now: Instant) -> Vec<Action> {
        let pids = self.children.iter().filter_map(|child| child.pid);
        let living: Vec<Pid> = pids
            .chain(self.sentinel.as_ref().map(|one| one.pid))
            .collect();
        let mut actions = Vec::new();
        for (pid, ending) in reap::reap(&living) {
            actions.extend(self.bury(pid, ending, now));
        }
        actions
    }

    fn bury(&mut self, pid: Pid, ending: Ending, now: Instant) -> Vec<Action> {
        let member = self
            .children
            .iter()
            .position(|child| child.pid == Some(pid));
        let Some(index) = member else {
            self.sentinel = None;
            let why = format!(
                "the launcher's sentinel, without which processes could be left behind, {ending}"
            );
            return self.group.fail(&why, now);
        };
        self.tell_sentinel(pid, false);
        self.children[index].pid = None;
        self.children[index].ending = Some(ending);
        self.end_if_over(index, now)
    }

    fn end_if_over(&mut self, index: usize, now: Instant) -> Vec<Action> {
        match self.children[index] {
            Child {
                ending: Some(ending),
                all_heard: true,
                ..
            } => self.group.ended(index, ending, now),
            _ => Vec::new(),
        }
    }

    /// Where the sentinel is gone, its end is noticed as that of any child.
    fn tell_sentinel(&mut self, group: Pid, lives: bool) {
        if let Some(sentinel) = &mut self.sentinel {
            let _ = sentinel
                .pipe
                .write_all(sentinel::line(group, lives).as_bytes());
        }
    }

    /// The last words of the last member, and the end of the sentinel.
    async fn finish_output(&mut self) {
        let all = async { while self.copies.join_next().await.is_some() {} };
        if timeout(LAST_OUTPUT, all).await.is_err() {
            tracing::warn!(
                "something that an agent has started lives on outside of its process group"
            );
        }
        if let Some(Sentinel { pid, pipe }) = self.sentinel.take() {
            drop(pipe);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
        self.output.flush();
    }
}
