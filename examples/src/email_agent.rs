//! Takes mails out of the queue.

use microagent::prelude::*;

use crate::queues;

/// "Sends" mails: it logs them.
#[derive(Debug, Default)]
pub struct EmailAgent;

#[agent]
impl EmailAgent {
    #[on(pre_start)]
    async fn setup(&self, cx: &Context) {
        info!("Run ...");
        debug!("{}", cx.info());
    }

    #[consumer(queues::MAILER)]
    async fn example_read_queue(&self, kwargs: Kwargs) {
        info!("Catch emailer {kwargs}");
    }
}
