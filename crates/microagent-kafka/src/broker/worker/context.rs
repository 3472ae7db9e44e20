//! The context of the client: it keeps what the client reports until the thread looks at it.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use microagent_core::driver::lock;
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    groups::GroupInfo,
    topic_partition_list::TopicPartitionListElem,
    types::RDKafkaRespErr,
};

use crate::context;

/// The longest time for an answer about the group.
const ANSWER: Duration = Duration::from_secs(5);

/// A report of the client.
pub(super) enum Report {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>),
}

/// The context of a consumer.
#[derive(Default)]
pub(in crate::broker) struct Context {
    reports: Mutex<VecDeque<Report>>,
    /// The client has called a function of this since the thread asked for it.
    was_called: AtomicBool,
    /// The thread has ended its work, so rebalances are carried out at once.
    ends: AtomicBool,
    group: String,
    /// The name that no other member of the group has.
    name: Option<String>,
}

impl Context {
    pub(in crate::broker) fn new(group: String, name: Option<String>) -> Self {
        Self {
            group,
            name,
            ..Self::default()
        }
    }

    /// Returns true if the group has this consumer as a member, as far as its name tells. It blocks.
    pub(super) fn is_member(&self, consumer: &BaseConsumer<Self>) -> bool {
        let Some(name) = &self.name else {
            return false;
        };
        let found = consumer.fetch_group_list(Some(&self.group), ANSWER);
        found.is_ok_and(|found| {
            let mut members = found.groups().iter().flat_map(GroupInfo::members);
            members.any(|member| member.client_id() == name)
        })
    }

    pub(super) fn next(&self) -> Option<Report> {
        lock(&self.reports).pop_front()
    }

    /// Returns true if the client has reported or logged something since the last call.
    pub(super) fn was_called(&self) -> bool {
        self.was_called.swap(false, Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::SeqCst);
    }

    fn push(&self, report: Report) {
        lock(&self.reports).push_back(report);
        self.was_called.store(true, Ordering::SeqCst);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.was_called.store(true, Ordering::SeqCst);
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.was_called.store(true, Ordering::SeqCst);
        context::report(&error, reason);
    }
}

impl ConsumerContext for Context {
    /// The client waits for the answer, so the thread may first let handlers end.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let is_assigned = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.ends.load(Ordering::SeqCst) {
            // Also partitions that it leaves again at once: the client waits for this very answer.
            let answered = if is_assigned {
                give(consumer, list)
            } else {
                take_away(consumer, list)
            };
            if let Err(error) = answered {
                context::report(&error, "while the consumer ends");
            }
            return;
        }
        let elements = list.elements();
        let ids = elements
            .iter()
            .map(TopicPartitionListElem::partition)
            .collect();
        self.push(if is_assigned {
            Report::Assigned(ids)
        } else {
            Report::Revoked(ids)
        });
    }
}

/// Tells the client that it has these partitions.
pub(super) fn give<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    }
}

/// Tells the client that it no longer has these partitions.
pub(super) fn take_away<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// Returns true if a commit failed because the consumer is not a member of the group.
pub(super) fn is_of_membership(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::AssignmentLost
                | RDKafkaErrorCode::FencedInstanceId
        )
    )
}

/// Returns true if a commit failed because the group is about to give its members their partitions. It succeeds afterwards.
pub(super) fn is_of_rebalance(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::RebalanceInProgress)
}
