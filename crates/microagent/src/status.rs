//! The status of a running agent as data: its state, its connections, its handlers, queues and schedules.
//!
//! [`RunningAgent::status`](crate::RunningAgent::status) takes it, and a [`StatusSource`] takes it on any thread, also while the
//! agent's runtime is blocked. `marun status` shows it for a group. A [`StatusWatch`] asks all agents on a bus for it.

pub use microagent_core::status::{
    AgentAnswer, AgentId, AgentState, BlockingHandler, CallStatus, ConnectionStatus, Durations,
    GapStatus, HandlerKind, HandlerStatus, LastError, QueueStatus, RequestStatus, STATUS_LEASE,
    STATUS_VERSION, ScheduleStatus, SkippedFires, Status, StatusSlot, StatusSource, StatusWatch,
    WatchEvent, duration_bounds, newest_queues,
};
