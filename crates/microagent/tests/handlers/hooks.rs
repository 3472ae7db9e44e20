//! All hooks, with all that they may take, sync and async.

use std::time::Duration;

use microagent::{ErrorKind, prelude::*};
use microagent_testing::BusMock;

use super::{Seen, UserCreated, settle};

#[derive(Default)]
struct Hooked {
    seen: Seen,
    prepared: u8,
}

#[agent]
impl Hooked {
    #[on(pre_start)]
    async fn prepare(&mut self, cx: &Context) -> Result<()> {
        self.prepared += 1;
        self.seen.note(format!("pre_start {}", cx.name()));
        Ok(())
    }

    #[on(pre_start)]
    fn prepare_more(&mut self) {
        self.prepared += 1;
    }

    #[on(pre_start)]
    fn look(&self) {
        self.seen.note(format!("pre_start {}", self.prepared));
    }

    #[on("post_start")] // as in Python
    fn live(&self, cx: &Context) {
        self.seen.note(format!("post_start {}", cx.name()));
    }

    #[on(server)]
    async fn serve(&self, cx: &Context) -> Result<()> {
        cx.shutdown().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.seen.note("server");
        Ok(())
    }

    #[on(gap)]
    async fn deaf(&self, gap: &Gap, cx: &Context) {
        self.seen
            .note(format!("gap {:?} {}", gap.lasted, cx.name()));
    }

    #[on(gap)]
    fn deaf_too(&self) -> Result<()> {
        self.seen.note("gap");
        Ok(())
    }

    #[on(pre_stop)]
    async fn leave(&self) {
        self.seen.note("pre_stop");
    }

    /// A gap is told to agents that listen.
    #[receiver(UserCreated)]
    async fn receive(&self) {}
}

#[tokio::test(start_paused = true)]
async fn every_hook_runs_with_what_it_asks_for() {
    let bus = BusMock::new();
    let agent = Agent::new(Hooked::default()).bus(bus.bus()).name("hooked");
    let agent = agent.start().await.unwrap();
    settle().await;
    bus.gap(Duration::from_secs(3)).await;
    settle().await;
    let seen = agent.agent().seen.clone();
    agent.stop().await.unwrap();
    assert_eq!(
        seen.all(),
        [
            "pre_start hooked",
            "pre_start 2",
            "post_start hooked",
            "gap 3s hooked",
            "gap",
            "pre_stop",
            "server",
        ]
    );
}

struct Refusing;

#[agent]
impl Refusing {
    #[on(pre_start)]
    async fn prepare(&self) -> Result<(), String> {
        Err("no licence".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_stops_the_start() {
    let error = Agent::new(Refusing).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handler);
    assert_eq!(error.to_string(), "pre_start hook `prepare`: no licence");
}
