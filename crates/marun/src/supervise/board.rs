//! The facts about the members for others than the supervisor: `marun status`, and whoever else asks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use microagent_core::{driver::lock, status::Status};
use tokio::{
    sync::{
        mpsc::{self, Receiver, Sender},
        watch,
    },
    time::timeout,
};
use tracing::Level;

use super::table::Row;
use crate::{
    member::control::Question,
    status::{
        GROUP_STATUS_VERSION, GroupEvent, GroupStatus, LauncherFacts, MemberStatus, memory_of,
    },
};

/// The number of log lines of the supervisor that are kept.
const EVENTS: usize = 20;

/// The facts about the members. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<Mutex<Facts>>);

#[derive(Debug)]
struct Facts {
    started: SystemTime,
    members: Vec<MemberFacts>,
    events: VecDeque<GroupEvent>,
}

#[derive(Debug)]
struct MemberFacts {
    /// True for an agent; a command has no status.
    is_agent: bool,
    row: Option<Row>,
    /// The way to its process.
    questions: Option<Sender<Question>>,
    /// Its last answer.
    answer: watch::Sender<Option<Arc<Status>>>,
}

impl Board {
    /// Creates the board of members; the items are whether each is an agent.
    pub(crate) fn new(are_agents: impl IntoIterator<Item = bool>) -> Self {
        let members = are_agents.into_iter().map(|is_agent| MemberFacts {
            is_agent,
            row: None,
            questions: None,
            answer: watch::Sender::new(None),
        });
        Self(Arc::new(Mutex::new(Facts {
            started: SystemTime::now(),
            members: members.collect(),
            events: VecDeque::with_capacity(EVENTS),
        })))
    }

    /// Keeps a log line of the supervisor.
    pub(super) fn log(&self, level: Level, text: &str) {
        let mut facts = lock(&self.0);
        if facts.events.len() == EVENTS {
            facts.events.pop_front();
        }
        facts.events.push_back(GroupEvent {
            at: SystemTime::now(),
            level: level.to_string(),
            text: text.to_owned(),
        });
    }

    /// Replaces the rows of all members.
    pub(super) fn update(&self, rows: &[Row]) {
        let mut facts = lock(&self.0);
        for (member, row) in facts.members.iter_mut().zip(rows) {
            member.row = Some(row.clone());
        }
    }

    /// Returns the questions to a new process of a member.
    pub(super) fn connect(&self, index: usize) -> Receiver<Question> {
        let (sender, questions) = mpsc::channel(1);
        if let Some(member) = lock(&self.0).members.get_mut(index) {
            member.questions = Some(sender);
            member.answer.send_replace(None);
        }
        questions
    }

    /// Keeps the status that a member has sent.
    pub(super) fn answered(&self, index: usize, status: Status) {
        if let Some(member) = lock(&self.0).members.get(index) {
            member.answer.send_replace(Some(Arc::new(status)));
        }
    }

    /// Asks all agents for their status, and returns the status of the group after at most `within`. It
    /// says which agents did not answer.
    pub(crate) async fn collect(&self, within: Duration) -> GroupStatus {
        let answers = {
            let facts = lock(&self.0);
            let asked: Vec<_> = facts.members.iter().map(MemberFacts::ask).collect();
            asked
        };
        let answers = join_all(answers.into_iter().map(|answer| wait(answer, within))).await;
        let facts = lock(&self.0);
        let members = facts.members.iter().zip(answers);
        GroupStatus {
            version: GROUP_STATUS_VERSION,
            at: SystemTime::now(),
            launcher: Some(LauncherFacts {
                launcher_pid: std::process::id(),
                launcher_version: env!("CARGO_PKG_VERSION").to_owned(),
                started: facts.started,
            }),
            bus: None,
            members: members
                .filter_map(|(member, answer)| member.status(answer, within))
                .collect(),
            events: facts.events.iter().cloned().collect(),
        }
    }
}

type Answer = watch::Receiver<Option<Arc<Status>>>;

/// Waits for an answer that is newer than the question.
async fn wait(answer: Option<Answer>, within: Duration) -> Option<Arc<Status>> {
    let mut answer = answer?;
    let changed = timeout(within, answer.wait_for(Option::is_some)).await;
    changed.ok()?.ok()?.clone()
}

impl MemberFacts {
    /// Sends the question, unless the process is not there.
    fn ask(&self) -> Option<Answer> {
        let questions = self.questions.as_ref().filter(|_| self.is_agent)?;
        if questions.is_closed() {
            return None;
        }
        // An older answer is not an answer to this question.
        self.answer.send_if_modified(|last| last.take().is_some());
        // If one waits already, it gets the same answer.
        let _ = questions.try_send(Question::Status);
        Some(self.answer.subscribe())
    }

    fn status(&self, answer: Option<Arc<Status>>, within: Duration) -> Option<MemberStatus> {
        let row = self.row.as_ref()?;
        let pid = row.pid.map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
        let no_answer = || {
            let reason = match pid {
                None => "it has no process".to_owned(),
                Some(_) => format!("it did not answer within {within:?}"),
            };
            (self.is_agent && answer.is_none()).then_some(reason)
        };
        let now = SystemTime::now();
        let age = row.status.started.filter(|_| pid.is_some());
        Some(MemberStatus {
            name: row.status.name.clone(),
            label: None,
            host: None,
            is_agent: self.is_agent,
            state: row.status.state.to_owned(),
            since: row.since.min(now),
            pid,
            age: age.map(|started| Instant::now().saturating_duration_since(started)),
            restarts: Some(row.status.restarts),
            memory_bytes: pid.and_then(memory_of),
            last_end: row.status.last_end.map(|end| end.to_string()),
            no_answer: no_answer(),
            status: answer.map(Arc::unwrap_or_clone),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::table::tests::row;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_does_not_answer_is_named_with_the_reason() {
        let board = Board::new([true, true, false]);
        let mut gone = row("gone", "backoff");
        gone.pid = None;
        board.update(&[row("silent", "ready"), gone, row("command", "ready")]);
        let _questions = board.connect(0);
        let status = board.collect(Duration::from_secs(2)).await;
        let reasons = status
            .members
            .iter()
            .map(|member| member.no_answer.as_deref());
        let expected = [
            Some("it did not answer within 2s"),
            Some("it has no process"),
            None,
        ];
        assert_eq!(reasons.collect::<Vec<_>>(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_asked_once_while_it_waits() {
        let board = Board::new([true]);
        board.update(&[row("silent", "ready")]);
        let mut questions = board.connect(0);
        for _ in 0..3 {
            board.collect(Duration::from_secs(1)).await;
        }
        assert_eq!(questions.recv().await, Some(Question::Status));
        assert!(questions.try_recv().is_err());
    }

    #[test]
    fn the_last_events_are_kept() {
        let board = Board::new([]);
        for number in 0..2 * EVENTS {
            board.log(Level::INFO, &number.to_string());
        }
        let facts = lock(&board.0);
        assert_eq!(facts.events.len(), EVENTS);
        assert_eq!(facts.events[0].text, EVENTS.to_string());
    }
}
