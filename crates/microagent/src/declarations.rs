//! Declarations of signals and queues at run time: loading `signals.json`, its contents as data, and checking payloads against it.
//!
//! An agent usually reads the file at compile time, with [`declare!`](crate::declare). A program that gets it at run time, such as a
//! gateway, a tool or a launcher, loads it with [`load_stuff`] from a file or a URL and passes the [`Declarations`] to
//! [`Bus::builder`](crate::Connect::builder), which then finds signals by name and checks what it sends.

pub use crate::load::{load_queues, load_signals, load_stuff, load_text, parse_stuff};
pub use microagent_core::{
    ArgumentDeclaration, DeclarationError, Declarations, JsonType, QueueDeclaration,
    SignalDeclaration, Violation,
};
