//! A program with agents for the launcher's tests. They behave as their settings say: well, badly, or not at all.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for tests: it prints what they wait for, and fails loudly"
)]

mod actor;
mod guide;
mod scheduled;
mod wired;

use std::process::ExitCode;

use actor::Actor;
use guide::{CommentAgent, Mailer};
use scheduled::{Clerk, Lost, OnlyOne, Unsteady};
use wired::{Responder, Worker};

fn main() -> ExitCode {
    marun::main![
        Actor,
        Clerk,
        CommentAgent,
        Lost,
        Mailer,
        OnlyOne,
        Responder,
        Unsteady,
        Worker,
    ]
}
