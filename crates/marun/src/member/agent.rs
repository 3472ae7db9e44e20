//! `__agent`: runs one agent of this program until it ends, is asked to stop, or loses its
//! supervisor.

use std::{any::Any, io, process::ExitCode, time::Duration};

use microagent_core::{
    AgentType, Broker, Bus, Error, ErrorKind, Result, RunningAgent, Wiring, status::StatusSlot,
};
use rustix::process::Signal;
use tokio::{
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    time::{Instant, error::Elapsed, timeout_at},
};
use tracing::level_filters::LevelFilter;

use super::{
    control::{AgentAssignment, Report},
    heartbeat,
    supervisor_watch::{Control, SupervisorWatch},
};
use crate::{connect, exit, logging, standard::Standard, traces::Traces};

/// The time after its grace in which an agent must close its connections. The supervisor waits a
/// little longer.
const CLOSE_MARGIN: Duration = Duration::from_millis(250);

/// The longest reason of a failure in bytes. It fits in a report of the length that a supervisor
/// accepts, even with all characters escaped.
const LONGEST_REASON: usize = 8 * 1024;

/// Runs the agent `name` in this process, a child of the process `parent`, until its end.
pub(crate) fn run(name: &str, parent: i32, agents: &[AgentType]) -> ExitCode {
    match run_agent(name, parent, agents) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            tracing::error!(%error, "agent failed");
            ExitCode::from(exit::FAILED)
        }
    }
}

fn run_agent(name: &str, parent: i32, agents: &[AgentType]) -> Result<()> {
    // The agent handles this signal when it runs. Before that, the watch ends the process.
    let control = Control::take(parent, Signal::TERM)?;
    let slot = StatusSlot::new();
    let supervisor_watch = control.watch(slot.clone())?;
    let assignment: AgentAssignment = serde_json::from_slice(&supervisor_watch.assignment()?)?;
    let traces = Traces::start(name);
    let layer = traces.as_ref().ok().and_then(Traces::layer);
    logging::install_with(assignment.log, LevelFilter::INFO, Standard::output, layer);
    let traces = traces.inspect_err(|error| report_failure(&control, error))?;
    traces.log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(run_until_stopped(
        name,
        assignment,
        agents,
        &control,
        supervisor_watch,
        traces,
        slot,
    ));
    // A blocking task that hangs must not keep the process alive.
    runtime.shutdown_background();
    result
}

async fn run_until_stopped(
    name: &str,
    assignment: AgentAssignment,
    agents: &[AgentType],
    control: &Control,
    supervisor_watch: SupervisorWatch,
    traces: Traces,
    slot: StatusSlot,
) -> Result<()> {
    let mut stop = StopRequest::listen(supervisor_watch)?;
    let (grace, watchdog) = (assignment.grace, assignment.watchdog);
    let connected = tokio::select! {
        biased;
        connected = connect(name, assignment, agents, slot) => connected,
        () = stop.requested() => return Ok(()),
    };
    let (agent_type, wiring) = connected.inspect_err(|error| report_failure(control, error))?;
    let connections = Connections {
        bus: wiring.bus.clone(),
        broker: wiring.broker.clone(),
        traces,
    };
    let started = tokio::select! {
        biased;
        started = agent_type.start(wiring) => started,
        // Its consumers may have messages already.
        () = stop.requested() => return connections.close(deadline(grace)).await,
    };
    let agent = match started {
        Ok(agent) => ConnectedAgent { agent, connections },
        Err(error) => {
            report_failure(control, &error);
            // The first failure is the one that is reported.
            let _ = connections.close(deadline(grace)).await;
            return Err(error);
        }
    };
    tokio::select! {
        ready = agent.ready() => match ready {
            Ok(()) => report_ready(control, watchdog)?,
            Err(error) => {
                report_failure(control, &error);
                agent.stop(grace).await?;
                return Err(error);
            }
        },
        _ = agent.agent.stopped() => {}
        () = stop.requested() => return agent.stop(grace).await,
    }
    tokio::select! {
        _ = agent.agent.stopped() => {}
        () = stop.requested() => {}
    }
    agent.stop(grace).await
}

fn report_failure(control: &Control, error: &Error) {
    // An error means that the supervisor is gone, which the watch handles.
    let mut reason = error.to_string();
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    let _ = control.report(&Report::Failed(reason));
}

/// Reports that the agent is ready, and starts the heartbeats.
fn report_ready(control: &Control, watchdog: Option<Duration>) -> io::Result<()> {
    control.report(&Report::Ready)?;
    match watchdog {
        Some(watchdog) => heartbeat::start(control.try_clone()?, watchdog),
        None => Ok(()),
    }
}

/// A running agent and its connections.
struct ConnectedAgent {
    agent: RunningAgent<dyn Any + Send + Sync>,
    connections: Connections,
}

/// The connections of an agent. They are closed however the agent ends: to a server, messages of a
/// process that ends without that are those of a crash.
struct Connections {
    bus: Option<Bus>,
    broker: Option<Broker>,
    traces: Traces,
}

/// Opens the connections of an agent, and returns everything that it starts with.
async fn connect<'a>(
    name: &str,
    assignment: AgentAssignment,
    agents: &'a [AgentType],
    slot: StatusSlot,
) -> Result<(&'a AgentType, Wiring)> {
    let backend = &assignment.backend;
    let agent_type = agents.iter().find(|known| known.name() == backend);
    let agent_type = agent_type.ok_or_else(|| {
        let text = format!("unknown agent type `{backend}` in this program");
        Error::new(ErrorKind::Configuration, text)
    })?;
    let declarations = assignment.declarations.as_deref();
    let declarations = declarations.map(connect::declared).transpose()?;
    let mut wiring = Wiring::named(name);
    wiring.settings = assignment.settings;
    wiring.settings_places = assignment.settings_places;
    wiring.handlers = assignment.handlers;
    wiring.zone = assignment.zone;
    wiring.grace = assignment.grace;
    wiring.status_slot = slot;
    if let Some(link) = &assignment.bus {
        wiring.bus = Some(connect::bus(link, declarations.as_ref()).await?);
    }
    if let Some(link) = &assignment.broker {
        wiring.broker = Some(connect::broker(link, declarations.as_ref()).await?);
    }
    Ok((agent_type, wiring))
}

/// Returns when an agent that stops now must have closed its connections; `None` if that is too far
/// for the clock.
fn deadline(grace: Duration) -> Option<Instant> {
    Instant::now().checked_add(grace.saturating_add(CLOSE_MARGIN))
}

impl ConnectedAgent {
    /// Waits until the connections are established: an agent that cannot receive and consume is not
    /// ready.
    async fn ready(&self) -> Result<()> {
        if let Some(bus) = &self.connections.bus {
            bus.ready().await?;
        }
        if let Some(broker) = &self.connections.broker {
            broker.ready().await?;
        }
        Ok(())
    }

    /// Drains the agent, then closes its connections. Unreachable servers do not delay this beyond
    /// the grace.
    async fn stop(self, grace: Duration) -> Result<()> {
        let deadline = deadline(grace);
        let drained = self.agent.stop().await;
        drained.and(self.connections.close(deadline).await)
    }
}

impl Connections {
    /// Closes the connections, and exports the last spans.
    async fn close(self, deadline: Option<Instant>) -> Result<()> {
        let closed = by(deadline, async {
            if let Some(broker) = &self.broker {
                broker.close().await?;
            }
            if let Some(bus) = &self.bus {
                bus.close().await?;
            }
            Ok(())
        });
        let late = |_| Error::new(ErrorKind::Timeout, "cannot close the connections in time");
        let closed = closed
            .await
            .map_err(late)
            .and_then(|closed: Result<()>| closed);
        self.traces.shutdown(deadline).await;
        closed
    }
}

/// Waits for the future until the deadline, or without a limit if the deadline is too far for the
/// clock.
async fn by<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> std::result::Result<T, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await,
        None => Ok(future.await),
    }
}

/// The requests to stop an agent: signals, and the loss of its supervisor.
struct StopRequest {
    terminate: SignalStream,
    interrupt: SignalStream,
    supervisor_watch: SupervisorWatch,
}

impl StopRequest {
    fn listen(supervisor_watch: SupervisorWatch) -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            supervisor_watch,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = self.supervisor_watch.supervisor_gone() => tracing::warn!("the launcher is gone; stopping"),
        }
    }
}
