//! Servers beside the handlers, and what their end means for the agent.

use std::time::Duration;

use microagent::{ErrorKind, prelude::*};
use tokio::sync::Notify;

struct Serving {
    end: fn() -> Result<()>,
    ended: Notify,
}

impl Serving {
    fn new(end: fn() -> Result<()>) -> Self {
        Self {
            end,
            ended: Notify::new(),
        }
    }
}

#[agent]
impl Serving {
    #[on(server)]
    async fn serve(&self) -> Result<()> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.ended.notify_one();
        (self.end)()
    }

    #[on(server)]
    async fn other(&self, cx: &Context) {
        cx.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_done_ends_only_itself() {
    let agent = Agent::new(Serving::new(|| Ok(()))).start().await.unwrap();
    agent.agent().ended.notified().await;
    let goes_on = tokio::time::timeout(Duration::from_secs(60), agent.stopped()).await;
    assert!(goes_on.is_err());
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_interrupt_is_a_graceful_end() {
    let agent = Agent::new(Serving::new(|| Err(ServerInterrupt.into())))
        .start()
        .await
        .unwrap();
    agent.stopped().await.unwrap();
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failed_or_panicked_server_is_the_agents_failure() {
    let agent = Agent::new(Serving::new(|| Err("port is taken".into())))
        .start()
        .await
        .unwrap();
    assert_eq!(
        agent.stopped().await.unwrap_err().to_string(),
        "server hook `serve`: port is taken"
    );
    assert!(agent.stop().await.is_err());

    let agent = Agent::new(Serving::new(|| panic!("no socket")))
        .start()
        .await
        .unwrap();
    let error = agent.stopped().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Panic, "server hook `serve` panicked: no socket")
    );
}
