//! The general launcher: it contains no agent, and runs those of the `program` that a settings file names.

use std::process::ExitCode;

fn main() -> ExitCode {
    marun::main![]
}
