//! Does what the group decides, to real processes, and tells it what becomes of them.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{sync::mpsc::Sender, task::JoinSet};
use tracing::Level;

use super::{
    events::{Event, Events},
    exit_status::ExitStatus,
    group::{Action, Group, Phase},
    member::{self, Backpressure, ControlEvent, Reports},
    output::Output,
    pause::{CatchUp, within},
    reap::{self, Orphans},
    sentinel::Sentinel,
    spawn::{self, Kind, Launch},
    systemd::Notifier,
    table::Row,
};
use crate::{
    member::{control::Report, tag::GroupTag},
    settings::Variables,
};

/// How long what is left of the members may take to end, and then their output to arrive. Only a process that the
/// launcher cannot find can hold a pipe open longer.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// Who speaks, in the launcher's own log lines.
const LOG_TARGET: &str = "marun";

/// Runs the members until the last one is gone; whether all went well.
///
/// The thread that runs this must live as long as the supervisor, see `spawn`.
///
/// # Errors
/// Where signals cannot be listened to or the sentinel cannot be started; then nothing was started.
pub(crate) async fn supervise(
    launches: Vec<Launch>,
    variables: Variables,
    output: Output,
) -> io::Result<bool> {
    let mut events = Events::listen()?;
    let mut supervisor = Supervisor::new(launches, variables, output, events.sender.clone())?;
    supervisor.start_all();
    supervisor.run(&mut events).await;
    supervisor.kill_orphans(&mut events).await;
    supervisor.finish_output(&mut events).await;
    Ok(!supervisor.group.has_failed())
}

struct Supervisor {
    group: Group,
    launches: Vec<Launch>,
    /// The environment variables that the settings name.
    variables: Variables,
    children: Vec<Child>,
    /// By member, as the children are.
    backpressure: Vec<Backpressure>,
    /// How many processes were started for members.
    started: u64,
    tag: GroupTag,
    orphans: Orphans,
    sentinel: Option<Sentinel>,
    notifier: Notifier,
    sender: Sender<(usize, ControlEvent)>,
    output: Output,
    copies: JoinSet<()>,
    /// The status table as it was shown last.
    rows: Vec<Row>,
}

/// What the supervisor knows of a member's process. It is over when it has ended *and* all that it reported is
/// heard, so that an end never overtakes a report.
#[derive(Clone, Copy, Default)]
struct Child {
    pid: Option<Pid>,
    /// Its number among all that were started, which its mark holds.
    serial: u64,
    status: Option<ExitStatus>,
    control_closed: bool,
}

impl Supervisor {
    fn new(
        launches: Vec<Launch>,
        variables: Variables,
        output: Output,
        sender: Sender<(usize, ControlEvent)>,
    ) -> io::Result<Self> {
        let rules = launches.iter().map(|launch| launch.rules.clone());
        let tag = GroupTag::new();
        let orphans = Orphans::adopt()?;
        Ok(Self {
            group: Group::new(rules, fastrand::f64),
            children: vec![Child::default(); launches.len()],
            backpressure: launches.iter().map(|_| Backpressure::default()).collect(),
            launches,
            started: 0,
            sentinel: Some(Sentinel::start(&tag, &variables)?),
            variables,
            tag,
            orphans,
            notifier: Notifier::from_environment(),
            sender,
            output,
            copies: JoinSet::new(),
            rows: Vec::new(),
        })
    }

    fn start_all(&mut self) {
        for index in 0..self.launches.len() {
            if self.group.phase() == Phase::Stopping {
                return;
            }
            self.perform(vec![Action::Start(index)]);
        }
    }

    /// Gives a member a process; what follows where that fails.
    fn start(&mut self, index: usize) -> Vec<Action> {
        let name: Arc<str> = Arc::from(self.launches[index].rules.name.as_str());
        match self.spawn(index, &name) {
            Ok(pid) => {
                tracing::info!(target: LOG_TARGET, "{name} is started as process {pid}");
                Vec::new()
            }
            Err(error) => {
                let reason = error.to_string();
                self.group.not_started(index, &reason, Instant::now())
            }
        }
    }

    fn spawn(&mut self, index: usize, name: &Arc<str>) -> io::Result<Pid> {
        let launch = &self.launches[index];
        self.started += 1;
        let serial = self.started;
        let spawned = spawn::spawn(launch, &self.tag.member(serial), &self.variables)?;
        let end_is_ready = matches!(launch.kind, Kind::Command);
        let assignment = launch.assignment.clone();
        self.children[index] = Child {
            pid: Some(spawned.pid),
            serial,
            ..Child::default()
        };
        self.group.started(index, Instant::now());
        // Before it becomes what it is: until it has its assignment it has started nothing and ends by itself.
        self.notify_sentinel(spawned.pid, true);
        while self.copies.try_join_next().is_some() {}
        let reports = Reports {
            index,
            name: Arc::clone(name),
            sender: self.sender.clone(),
        };
        let (name, output) = (Arc::clone(name), self.output.clone());
        let backpressure = self.backpressure[index].clone();
        self.copies.spawn(member::copy_output(
            spawned.output,
            index,
            name,
            output,
            backpressure,
        ));
        tokio::spawn(member::talk_to_member(
            spawned.control,
            assignment,
            end_is_ready,
            reports,
        ));
        Ok(spawned.pid)
    }

    async fn run(&mut self, events: &mut Events) {
        while !self.group.is_over() {
            let deadlines = [self.group.deadline(), self.notifier.due()];
            match events.next(deadlines.into_iter().flatten().min()).await {
                Event::DeadlinePassed => self.meet_deadlines(events).await,
                event => self.handle(event),
            }
        }
    }

    /// Acts on the deadlines that have passed, but first on what happened before: it may wait to be noticed where the
    /// launcher itself stood still.
    async fn meet_deadlines(&mut self, events: &mut Events) {
        let is_due = |group: &Group| group.deadline().is_some_and(|due| due <= Instant::now());
        if is_due(&self.group) {
            self.catch_up(events).await;
        }
        self.handle(Event::DeadlinePassed);
    }

    /// Handles pending events before the supervisor acts on a deadline.
    async fn catch_up(&mut self, events: &mut Events) {
        let mut catch_up = CatchUp::start(Instant::now());
        while !self.group.is_over() {
            match events.next(Some(catch_up.until())).await {
                Event::DeadlinePassed if catch_up.is_over(Instant::now()) => return,
                Event::DeadlinePassed => {}
                event => self.handle(event),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        self.notifier.tick(now);
        let actions = match event {
            Event::ChildEnded => self.reap(now),
            Event::StopRequested(signal) => self.group.stop(signal, now),
            Event::Control(index, event) => self.on_control_event(index, event, now),
            Event::DeadlinePassed => {
                for (index, backpressure) in self.backpressure.iter().enumerate() {
                    if backpressure.is_set() {
                        self.group.output_blocked(index, now);
                    }
                }
                self.group.tick(now)
            }
        };
        self.perform(actions);
        self.notifier.update(&self.group);
        self.show_table();
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(index) => {
                    let actions = self.start(index);
                    self.perform(actions);
                }
                Action::Terminate(index) => self.signal(index, kill_process, Signal::TERM),
                Action::Kill(index) => self.signal(index, kill_process_group, Signal::KILL),
                Action::LogHealth(level, index, text) => self.log_health(level, index, &text),
                Action::Log(Level::ERROR, text) => tracing::error!(target: LOG_TARGET, "{text}"),
                Action::Log(Level::WARN, text) => tracing::warn!(target: LOG_TARGET, "{text}"),
                Action::Log(_, text) => tracing::info!(target: LOG_TARGET, "{text}"),
            }
        }
    }

    /// For machines, with the name and the word of the status table as fields of their own.
    fn log_health(&self, level: Level, index: usize, text: &str) {
        let status = self.group.status().nth(index);
        let (member, state) =
            status.map_or_else(Default::default, |known| (known.name, known.state));
        match level {
            Level::WARN => tracing::warn!(target: LOG_TARGET, member, state, "{text}"),
            _ => tracing::info!(target: LOG_TARGET, member, state, "{text}"),
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
            tracing::error!(target: LOG_TARGET, "process {pid} cannot be sent a signal: {error}");
        }
    }

    fn on_control_event(&mut self, index: usize, event: ControlEvent, now: Instant) -> Vec<Action> {
        match event {
            ControlEvent::Report(Report::Ready) => self.group.ready(index, now),
            ControlEvent::Report(Report::Failed(reason)) => self.group.failed(index, &reason, now),
            ControlEvent::Report(Report::Alive) => self.group.alive(index, now),
            ControlEvent::Closed => {
                self.children[index].control_closed = true;
                self.finish_member(index, now)
            }
        }
    }

    fn reap(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (pid, status) in reap::reap(&self.own_processes()) {
            actions.extend(self.on_child_exit(pid, status, now));
        }
        let children = &self.children;
        let lives = |serial| {
            let mut living = children.iter().filter(|child| child.pid.is_some());
            living.any(|child| child.serial == serial)
        };
        let own = self.own_processes();
        self.orphans.kill_orphans_of_ended(&own, &self.tag, lives);
        actions
    }

    fn own_processes(&self) -> Vec<Pid> {
        let members = self.children.iter().filter_map(|child| child.pid);
        let sentinel = self.sentinel.as_ref().map(Sentinel::pid);
        members.chain(sentinel).collect()
    }

    /// Ends what the members have left behind, when they are gone.
    async fn kill_orphans(&mut self, events: &mut Events) {
        let all = async {
            loop {
                let own = self.own_processes();
                reap::reap(&own);
                if !self.orphans.kill_all(&own) {
                    return;
                }
                events.child_ended().await;
            }
        };
        // Longer than the system takes to end a process that it can.
        let _ = within(FINAL_OUTPUT_TIMEOUT, all).await;
    }

    fn on_child_exit(&mut self, pid: Pid, status: ExitStatus, now: Instant) -> Vec<Action> {
        let member = self
            .children
            .iter()
            .position(|child| child.pid == Some(pid));
        let Some(index) = member else {
            self.sentinel = None;
            let reason = format!(
                "the launcher's sentinel, without which processes could be left behind, {status}"
            );
            return self.group.fail(&reason, now);
        };
        self.notify_sentinel(pid, false);
        self.children[index].pid = None;
        self.children[index].status = Some(status);
        self.finish_member(index, now)
    }

    fn finish_member(&mut self, index: usize, now: Instant) -> Vec<Action> {
        match self.children[index] {
            Child {
                status: Some(status),
                control_closed: true,
                ..
            } => self.group.ended(index, status, now),
            _ => Vec::new(),
        }
    }

    /// Where the sentinel is gone, its end is noticed as that of any child.
    fn notify_sentinel(&mut self, group: Pid, lives: bool) {
        if let Some(sentinel) = &mut self.sentinel {
            sentinel.notify(group, lives);
        }
    }

    /// Shows what has changed, where somebody sees it.
    fn show_table(&mut self) {
        if !self.output.has_table() {
            return;
        }
        let now = SystemTime::now();
        let members = self.group.status().zip(&self.children).enumerate();
        let rows = members.map(|(index, (status, child))| {
            let known = self.rows.get(index);
            let known = known.filter(|row| row.status.state == status.state);
            Row {
                since: known.map_or(now, |row| row.since),
                pid: child.pid,
                status,
            }
        });
        let rows: Vec<_> = rows.collect();
        if rows != self.rows {
            self.output.table(rows.clone());
            self.rows = rows;
        }
    }

    /// The last words of the last member, and the end of the sentinel.
    async fn finish_output(&mut self, events: &mut Events) {
        let all = async { while self.copies.join_next().await.is_some() {} };
        if within(FINAL_OUTPUT_TIMEOUT, all).await.is_none() {
            tracing::warn!(
                target: LOG_TARGET, "something that an agent has started lives on, and the launcher cannot find it"
            );
        }
        if let Some(sentinel) = self.sentinel.take() {
            sentinel.dismiss(events).await;
        }
        self.output.table(Vec::new());
        self.output.flush();
    }
}
