//! The documentation's custom server: three agents in one process, without the launcher.
//!
//! `cargo run -p examples --bin single_process`, with `EXAMPLE_BUS` and `EXAMPLE_BROKER` for a server.

use std::env;

use examples::{CommentAgent, EmailAgent, UserAgent, signals};
use microagent::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let bus = Bus::connect(&dsn("EXAMPLE_BUS")?).await?;
    let broker = Broker::connect(&dsn("EXAMPLE_BROKER")?).await?;
    bus.send("user_agent", signals::Started {}).await?;

    let comment_agent = Agent::new(CommentAgent::default())
        .bus(bus.clone())
        .broker(broker.clone())
        .start()
        .await?;
    let email_agent = Agent::new(EmailAgent)
        .broker(broker.clone())
        .start()
        .await?;
    let user_agent = Agent::new(UserAgent)
        .bus(bus.clone())
        .broker(broker.clone())
        .start()
        .await?;

    // However the first one ends: the others drain, and only then their connections close.
    let ended = user_agent.run_until_stopped().await;
    let (comments, emails) = tokio::join!(comment_agent.stop(), email_agent.stop());
    let closed = bus.close().await.and(broker.close().await);
    ended.and(comments).and(emails).and(closed)
}

/// The DSN in a variable; without it, memory.
fn dsn(variable: &str) -> Result<String> {
    match env::var(variable) {
        Ok(dsn) => Ok(dsn),
        Err(env::VarError::NotPresent) => Ok("memory://single_process".to_owned()),
        // The error itself would quote the value, which may hold a password.
        Err(env::VarError::NotUnicode(_)) => {
            Err(format!("invalid value of {variable}: expected UTF-8").into())
        }
    }
}
