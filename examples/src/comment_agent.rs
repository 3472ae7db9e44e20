//! Counts the comments of each user, and answers how many there are.

use std::time::Duration;

use dashmap::DashMap;
use microagent::prelude::*;

use crate::{queues, signals};

/// Keeps the comments' count.
#[derive(Debug, Default)]
pub struct CommentAgent {
    comments: DashMap<u64, u64>,
}

#[agent]
impl CommentAgent {
    #[on(pre_start)]
    async fn setup(&mut self, cx: &Context) {
        info!("Run ...");
        debug!("{}", cx.info());
        self.comments.clear();
    }

    #[receiver(signals::RpcCommentsCount)]
    async fn example_rpc_handler(&self, user_id: u64, kwargs: Kwargs) -> u64 {
        info!("Catch signal {kwargs}");
        // The documentation's handler takes its time, so that a call can be watched.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.comments.get(&user_id).map_or(0, |count| *count)
    }

    #[receiver(signals::UserComment)]
    async fn example_signal_receiver_send_message(
        &self,
        cx: &Context,
        user_id: u64,
        kwargs: Kwargs,
    ) -> Result<()> {
        info!("Catch signal {kwargs}");
        *self.comments.entry(user_id).or_default() += 1;
        let mail = json!({"text": "Comment", "email": "user@lwr.pw"});
        cx.broker().send(queues::MAILER, &mail).await?;
        cx.broker().length(queues::MAILER).await?;
        Ok(())
    }
}
