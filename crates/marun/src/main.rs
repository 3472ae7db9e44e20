//! The launcher `marun`. It contains no agents; it runs those of the `program` in a settings file.

use std::process::ExitCode;

fn main() -> ExitCode {
    marun::main![]
}
