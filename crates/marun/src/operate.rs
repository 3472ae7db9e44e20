//! `run --http`: metrics and health of the group over HTTP, on a thread that the supervisor cannot hold up.

use std::time::Duration;

use microagent::operate::{AgentReport, HttpServer, Reports};
use tokio::runtime::Builder;

use crate::{exit::Failure, status::MemberStatus, supervise::Board};

/// The time that the members have to answer. It is shorter than the usual time-out of a probe, 1 s.
const PATIENCE: Duration = Duration::from_millis(700);

/// The running server, if there is one.
pub(crate) struct Served {
    _server: Option<HttpServer>,
}

/// Serves the group on this address until the result is dropped.
///
/// # Errors
/// A failure if the address is invalid or taken: a group that cannot be seen is not started.
pub(crate) fn serve(
    address: Option<&str>,
    names: Vec<String>,
    board: &Board,
) -> Result<Served, Failure> {
    let group = |board: &Board| GroupReports {
        names,
        board: board.clone(),
    };
    let server = address.map(|address| HttpServer::start(address, group(board)));
    let server = server.transpose();
    let server = server.map_err(|error| Failure::usage(format!("--http: {error}")))?;
    Ok(Served { _server: server })
}

/// The members of the group.
struct GroupReports {
    names: Vec<String>,
    board: Board,
}

impl Reports for GroupReports {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn reports(&self) -> Vec<AgentReport> {
        // Not the runtime of the supervisor, so that an answer is late at most by its own time.
        let Ok(runtime) = Builder::new_current_thread().enable_time().build() else {
            let reason = "the launcher has no more files or memory";
            let names = self.names.iter();
            let reports = names.map(|name| AgentReport::without_status(name, reason));
            return reports.collect();
        };
        let group = runtime.block_on(self.board.collect(PATIENCE));
        group.members.into_iter().map(report).collect()
    }
}

fn report(member: MemberStatus) -> AgentReport {
    let runs = matches!(member.state.as_str(), "starting" | "ready" | "blocked");
    let reason = || reason(&member);
    let mut report = match (member.is_agent, &member.status) {
        (true, Some(status)) => {
            let mut report = AgentReport::of(status.clone());
            report.unready = (!runs).then(reason);
            report
        }
        (true, None) => AgentReport::without_status(&member.name, reason()),
        (false, _) => AgentReport::of_command(&member.name, (!runs).then(reason)),
    };
    report.name.clone_from(&member.name);
    report.pid = member.pid;
    report.restarts = member.restarts.unwrap_or_default().into();
    report.unready_since = report.unready.is_some().then_some(member.since);
    report
}

/// Returns why a member is not ready: the state of its process, how the last one ended, and why it does not answer.
fn reason(member: &MemberStatus) -> String {
    let mut text = format!("its process is in the state `{}`", member.state);
    if let Some(end) = &member.last_end {
        text = format!("{text}, the last one {end}");
    }
    if let Some(no_answer) = &member.no_answer {
        text = format!("{text}; {no_answer}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn member(state: &str, is_agent: bool) -> MemberStatus {
        MemberStatus {
            name: "mailer".to_owned(),
            label: None,
            host: None,
            is_agent,
            state: state.to_owned(),
            since: SystemTime::UNIX_EPOCH,
            pid: Some(7),
            age: None,
            restarts: Some(2),
            memory_bytes: None,
            last_end: Some("exited with code 1".to_owned()),
            status: None,
            no_answer: is_agent.then(|| "it has no process".to_owned()),
        }
    }

    #[test]
    fn a_member_without_a_process_is_unready_with_its_last_end() {
        let report = report(member("backoff", true));
        assert_eq!(
            report.unready.as_deref(),
            Some(
                "its process is in the state `backoff`, the last one exited with code 1; it has no process"
            )
        );
        assert_eq!(report.unready_since, Some(SystemTime::UNIX_EPOCH));
        assert_eq!((report.restarts, report.pid), (2, Some(7)));
    }

    #[test]
    fn a_command_is_ready_while_its_process_runs() {
        assert_eq!(report(member("ready", false)).unready, None);
        assert!(report(member("ended", false)).unready.is_some());
    }
}
