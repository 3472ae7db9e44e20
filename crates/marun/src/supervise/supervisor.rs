//! The main loop of the supervisor: it passes events to the group and executes the actions.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{sync::mpsc::Sender, task::JoinSet};
use tracing::Level;

use super::{
    board::Board,
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

/// The time in which orphans of the members must end, and then the time in which the last output
/// must arrive. Only a process that the launcher cannot find can keep a pipe open longer.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// The target of the launcher's own log lines.
const LOG_TARGET: &str = "marun";

/// Runs the members until the last one has ended. Returns whether there was no failure.
///
/// The calling thread must live as long as the supervisor, see `spawn`.
///
/// # Errors
/// Returns an error, before any start, if it cannot listen to signals or start the sentinel.
pub(crate) async fn supervise(
    launches: Vec<Launch>,
    variables: Variables,
    output: Output,
    board: Board,
) -> io::Result<bool> {
    let mut events = Events::listen()?;
    let sender = events.sender.clone();
    let mut supervisor = Supervisor::new(launches, variables, output, (board, sender))?;
    supervisor.start_all();
    supervisor.show_table();
    supervisor.run(&mut events).await;
    supervisor.kill_orphans(&mut events).await;
    supervisor.finish_output(&mut events).await;
    Ok(!supervisor.group.has_failed())
}

/// The supervisor and all that it has started.
struct Supervisor {
    group: Group,
    launches: Vec<Launch>,
    /// The environment variables that the settings refer to.
    variables: Variables,
    children: Vec<Child>,
    /// One for each member, like `children`.
    backpressure: Vec<Backpressure>,
    /// The number of processes that were started for members.
    started: u64,
    tag: GroupTag,
    orphans: Orphans,
    sentinel: Option<Sentinel>,
    notifier: Notifier,
    sender: Sender<(usize, ControlEvent)>,
    output: Output,
    /// The facts about the members for others than the supervisor.
    board: Board,
    copies: JoinSet<()>,
    /// The status table that was shown last.
    rows: Vec<Row>,
}

/// The process of a member. The supervisor acts on its end when it has ended *and* its control
/// socket is closed, so that the end never overtakes a report.
#[derive(Clone, Copy, Default)]
struct Child {
    pid: Option<Pid>,
    /// The number of the process among all that were started. It is a part of the process's tag.
    serial: u64,
    status: Option<ExitStatus>,
    control_closed: bool,
}

impl Supervisor {
    fn new(
        launches: Vec<Launch>,
        variables: Variables,
        output: Output,
        (board, sender): (Board, Sender<(usize, ControlEvent)>),
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
            board,
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

    /// Starts the process of a member. Returns the actions that follow if this fails.
    fn start(&mut self, index: usize) -> Vec<Action> {
        let name: Arc<str> = Arc::from(self.launches[index].rules.name.as_str());
        match self.spawn(index, &name) {
            Ok(pid) => {
                tracing::info!(target: LOG_TARGET, "{name} started as process {pid}");
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
        // Before the assignment is sent: until then the process starts no others.
        self.notify_sentinel(spawned.pid, true);
        while self.copies.try_join_next().is_some() {}
        let reports = Reports {
            index,
            name: Arc::clone(name),
            sender: self.sender.clone(),
            board: self.board.clone(),
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

    /// Handles pending events, and then acts on the deadlines that have passed. If the launcher was
    /// paused, events that happened before a deadline may still be pending.
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
            if let Action::Log(level, text) | Action::LogHealth(level, _, text) = &action {
                self.board.log(*level, text);
            }
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

    /// Logs the health of a member. For log processors, its name and state are fields.
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
        // A child that is not collected keeps its number, so this cannot reach another process.
        if let Err(error) = send(pid, signal) {
            tracing::error!(target: LOG_TARGET, %pid, %error, "cannot send a signal to a process");
        }
    }

    fn on_control_event(&mut self, index: usize, event: ControlEvent, now: Instant) -> Vec<Action> {
        match event {
            ControlEvent::Report(Report::Ready) => self.group.ready(index, now),
            ControlEvent::Report(Report::Failed(reason)) => self.group.failed(index, &reason, now),
            ControlEvent::Report(Report::Alive) => self.group.alive(index, now),
            // The task of the member's socket passes it to the board.
            ControlEvent::Report(Report::Status(_)) => Vec::new(),
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

    /// Kills the processes that the members have left behind.
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
        // The limit is longer than the system takes to kill a process.
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
                "the sentinel {status}; stopping, because without it processes could outlive a killed launcher"
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

    /// Reports a process group to the sentinel, unless the sentinel has ended.
    fn notify_sentinel(&mut self, group: Pid, lives: bool) {
        if let Some(sentinel) = &mut self.sentinel {
            sentinel.notify(group, lives);
        }
    }

    /// Updates the rows of the members for those who ask, and the status table if there is one, if they
    /// have changed.
    fn show_table(&mut self) {
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
            self.board.update(&rows);
            if self.output.has_table() {
                self.output.table(rows.clone());
            }
            self.rows = rows;
        }
    }

    /// Waits for the last output of the members, and ends the sentinel.
    async fn finish_output(&mut self, events: &mut Events) {
        let all = async { while self.copies.join_next().await.is_some() {} };
        if within(FINAL_OUTPUT_TIMEOUT, all).await.is_none() {
            tracing::warn!(
                target: LOG_TARGET, "a process that an agent started is still running, and the launcher cannot find it"
            );
        }
        if let Some(sentinel) = self.sentinel.take() {
            sentinel.dismiss(events).await;
        }
        self.output.table(Vec::new());
        self.output.flush();
    }
}
