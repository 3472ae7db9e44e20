//! Agents that are defined without the macros, and what a launcher needs to start agents of any type.
//!
//! `#[agent]` generates an implementation of [`MicroAgent`](crate::MicroAgent) whose [`Blueprint`] lists the handlers. A program
//! whose handlers are known only at run time builds the blueprint itself: each handler is a closure that gets a [`SignalInput`] or a
//! [`MessageInput`] and returns a [`HandlerFuture`], with the options of its kind ([`ReceiverOptions`], [`ConsumerOptions`],
//! [`PeriodicOptions`], [`CronOptions`]).
//!
//! A launcher keeps its agents as [`AgentType`]s, starts them with a [`Wiring`], and asks [`running_handlers`] what blocks a thread.

pub use microagent_core::{
    AgentType, Blueprint, ConsumerOptions, CronOptions, CronSchedule, DeadLetter, Fields,
    HandlerFuture, HandlerOptions, HandlerReply, MessageInput, OnFailure, Once, OptionError,
    Overflow, Overlap, PeriodicOptions, ReceiverOptions, RetryPolicy, RunningHandler, SignalInput,
    WhenUnknown, Wiring, running_handlers,
};
