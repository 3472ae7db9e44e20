//! The mails: a consumer that settles its messages itself.

use microagent::prelude::*;

use crate::queues;

/// A mail in the queue `mails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
}

/// "Sends" mails: it logs them.
#[derive(Debug, Default)]
pub struct Mailer;

#[agent]
impl Mailer {
    #[consumer(queues::MAILS, autoack = false)]
    async fn send(&self, delivery: Delivery, Payload(mail): Payload<Mail>) -> Result<()> {
        if !mail.to.contains('@') {
            let reason = format!("`{}` is not an address", mail.to);
            return delivery.dead_letter(reason).await;
        }
        info!(to = mail.to, subject = mail.subject, "mail sent");
        delivery.ack().await
    }
}
