//! Sends signals and mails by schedules, and asks another process how many comments there are.

use microagent::prelude::*;

use crate::{queues, signals};

/// Reports by cron, comments periodically, welcomes new users.
#[derive(Debug, Default)]
pub struct UserAgent;

#[agent]
impl UserAgent {
    #[on(pre_start)]
    fn setup(&self, cx: &Context) {
        info!("Run ...");
        debug!("{}", cx.info());
    }

    #[cron("* * * * *", timeout = 5)]
    async fn example_cron_send_message(&self, cx: &Context) -> Result<()> {
        info!("Run cron task");
        let mail = json!({"text": "Report text", "email": "admin@lwr.pw"});
        cx.broker().send(queues::MAILER, &mail).await
    }

    #[periodic(period = 15, timeout = 10, start_after = 3)]
    async fn example_periodic_task_send_signal(&self, cx: &Context) -> Result<()> {
        info!("Run periodic task");
        let comment = signals::UserComment { user_id: 1.into() };
        cx.bus().send("user_agent", comment).await
    }

    #[receiver(signals::UserCreated)]
    async fn example_signal_receiver_send_message(
        &self,
        cx: &Context,
        signal: SignalName,
        sender: Sender,
        kwargs: Kwargs,
    ) -> Result<()> {
        info!("Catch signal {signal} from {sender} with {kwargs}");
        let mail = json!({"text": "Welcome text", "email": "user@lwr.pw"});
        cx.broker().send(queues::MAILER, &mail).await
    }

    #[receiver(signals::UserComment)]
    async fn example_rpc_call(&self, cx: &Context, kwargs: Kwargs) -> Result<()> {
        info!("Catch signal {kwargs}");
        let question = signals::RpcCommentsCount { user_id: 1.into() };
        let value = cx.bus().call("user_agent", question).await?;
        info!("Get value = {value}");
        Ok(())
    }
}
