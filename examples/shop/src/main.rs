//! The launcher of the shop: `cargo run -p shop -- examples/shop/settings.toml`.

use std::process::ExitCode;

use shop::{Mailer, Orders, Reporter, Stock, Web};

fn main() -> ExitCode {
    marun::main![Web, Orders, Stock, Mailer, Reporter]
}
