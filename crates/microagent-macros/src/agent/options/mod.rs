//! The contents of a handler's attribute: the signals or the queue, and the options.

mod consumer;
mod groups;
mod hook;
mod parts;
mod reading;
mod receiver;
mod schedule;

use std::fmt;

use proc_macro2::TokenStream;
use syn::{Attribute, Expr, Meta, Path, parse::ParseStream, parse::Parser};

pub(super) use self::hook::Hook;
use crate::problems::{Problems, shown};

/// The kind of a handler.
pub(super) enum Kind {
    Receiver(Receiver),
    Consumer(Consumer),
    Periodic(Options),
    Cron(Options),
    Hook(Hook),
}

pub(super) struct Receiver {
    pub(super) signals: Vec<Path>,
    pub(super) options: Options,
}

pub(super) struct Consumer {
    pub(super) queue: Expr,
    pub(super) autoack: bool,
    pub(super) options: Options,
}

/// Calls of the options' builder, `.timeout(…)` and so on, and for a schedule the period or the text that
/// the builder begins with.
#[derive(Default)]
pub(super) struct Options {
    pub(super) first: Option<TokenStream>,
    pub(super) setters: TokenStream,
}

/// Returns the name of a kind, for messages.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum KindName {
    Receiver,
    Consumer,
    Periodic,
    Cron,
    On(&'static str),
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver => f.write_str("a receiver"),
            Self::Consumer => f.write_str("a consumer"),
            Self::Periodic => f.write_str("a periodic task"),
            Self::Cron => f.write_str("a cron task"),
            Self::On(hook) => write!(f, "`#[on({hook})]`"),
        }
    }
}

impl Kind {
    pub(super) fn name(&self) -> KindName {
        match self {
            Self::Receiver(_) => KindName::Receiver,
            Self::Consumer(_) => KindName::Consumer,
            Self::Periodic(_) => KindName::Periodic,
            Self::Cron(_) => KindName::Cron,
            Self::Hook(hook) => KindName::On(hook.name()),
        }
    }

    /// Returns the parameters that it may have, for messages.
    pub(super) fn parameters(&self) -> &'static str {
        match self {
            Self::Receiver(_) => {
                "`&Context`, `Sender`, `SignalName`, the listed signal, its fields by name, `Payload<T>` and `Kwargs`"
            }
            Self::Consumer(_) => {
                "`&Context`, `&Message`, `Delivery`, fields of the payload by name, `Payload<T>` and `Kwargs`"
            }
            Self::Hook(Hook::Gap) => "`&Context` and `&Gap`",
            _ => "`&Context`",
        }
    }

    /// Returns whether a receiver lists a signal whose type has this name.
    pub(super) fn lists_signal(&self, name: &str) -> bool {
        match self {
            Self::Receiver(receiver) => receiver
                .signals
                .iter()
                .any(|signal| super::parse::last_name(signal) == name),
            _ => false,
        }
    }
}

/// Reads a handler's attribute.
pub(super) fn kind(name: &str, attribute: &Attribute, problems: &mut Problems) -> Option<Kind> {
    let (tokens, empty) = match &attribute.meta {
        Meta::List(list) => (list.tokens.clone(), list.tokens.is_empty()),
        Meta::Path(_) => (TokenStream::new(), true),
        Meta::NameValue(set) => {
            let value = shown(&set.value);
            problems.at(attribute, format!("write `#[{name}({value})]`"));
            return None;
        }
    };
    if empty {
        problems.at(attribute, missing(name));
        return None;
    }
    let read = |input: ParseStream<'_>| match name {
        "receiver" => receiver::read(input, problems),
        "consumer" => consumer::read(input, problems),
        "periodic" => schedule::periodic(input, problems),
        "cron" => schedule::cron(input, problems),
        _ => hook::read(input),
    };
    match read.parse2(tokens) {
        Ok(kind) => kind,
        Err(error) => {
            problems.add(error);
            None
        }
    }
}

/// Reports a missing part that an attribute requires.
fn missing(name: &str) -> &'static str {
    match name {
        "receiver" => "a receiver lists the signals that it hears: `#[receiver(UserCreated)]`",
        "consumer" => "a consumer names its queue: `#[consumer(MAILER)]`",
        "periodic" => {
            "a periodic task has a period: `#[periodic(period = 15)]` runs every 15 seconds"
        }
        "cron" => "a cron task has a schedule: `#[cron(\"0 */4 * * *\")]`",
        _ => {
            "a hook says when it runs: `create`, `pre_start`, `post_start`, `pre_stop`, `server` or `gap`"
        }
    }
}
