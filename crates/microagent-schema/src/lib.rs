//! The text formats that every part of MicroAgent agrees on, as pure functions from text to data.
//!
//! Both the macros (at compile time) and the runtime read declarations and schedules with this crate, so that they
//! can never disagree. The crate does not open files, read clocks or know time zones.
//!
//! - [`Declarations`]: the format of `signals.json`; [`SignalDeclaration::violations`] checks a payload against it.
//! - [`names`]: rules for the names of signals, queues, arguments and prefixes.
//! - [`CronSpec`]: the five fields of cron.
//! - [`parse_duration`]: `1.5`, `"30"`, `"1500ms"`.
//! - [`Dsn`]: the parts of a DSN.
//! - [`HandlerOptions`]: the options of receivers, consumers, periodic and cron tasks.
//! - [`suggest`]: "did you mean" and "available", for errors about unknown names.
//! - [`compact`]: JSON without the white space between its tokens.
//! - [`redacted`]: a DSN or a URL without its secrets.
//! - [`decode_text`]: the bytes of a file as text, with or without a byte order mark.

#![warn(clippy::disallowed_methods)]

pub mod names;
pub mod suggest;

mod cron;
mod declarations;
mod dsn;
mod duration;
mod encoding;
mod json;
mod options;
mod redact;

pub use cron::{CronError, CronSpec, Field, FieldSet};
pub use declarations::{
    ArgumentDeclaration, DeclarationError, Declarations, JsonType, Problem, QueueDeclaration,
    SignalDeclaration, Violation,
};
pub use dsn::{Dsn, DsnError, Host};
pub use duration::{DurationError, LONGEST_DURATION, parse_duration};
pub use encoding::{TextError, decode_text, without_mark};
pub use json::compact;
pub use options::{
    ConsumerOptions, CronOptions, DeadLetter, Form, HandlerOptions, OnFailure, Once, OptionError,
    Overflow, Overlap, PeriodicOptions, ReceiverOptions, RetryPolicy, WhenUnknown, Words,
};
pub use redact::{redacted, says_secret};
