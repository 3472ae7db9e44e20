//! The launcher of this deployment: `cargo run -p examples -- examples/settings.toml`.

use std::process::ExitCode;

use examples::{CommentAgent, EmailAgent, HttpAgent, UserAgent};

fn main() -> ExitCode {
    marun::main![UserAgent, CommentAgent, EmailAgent, HttpAgent]
}
