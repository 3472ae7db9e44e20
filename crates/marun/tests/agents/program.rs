//! A program with agents for the launcher's tests. They behave as their settings say: well, badly,
//! or not at all.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for tests: it prints what they wait for, and fails loudly"
)]

mod actor;
mod guide;
mod refused;
mod scheduled;
mod wired;

use std::process::ExitCode;

use actor::Actor;
use guide::{CommentAgent, Mailer};
use refused::{Bare, Rivals};
use scheduled::{Clerk, Lost, OnlyOne, Unsteady};
use wired::{Responder, Worker};

fn main() -> ExitCode {
    marun::main![
        Actor,
        Bare,
        Clerk,
        CommentAgent,
        Lost,
        Mailer,
        OnlyOne,
        Responder,
        Rivals,
        Unsteady,
        Worker,
    ]
}
