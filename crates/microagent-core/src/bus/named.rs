//! A signal addressed by its name, for names and arguments that are known only at run time.

use serde::Serialize;

use super::{Bus, SubscriberCount};
use crate::{
    Result,
    rpc::{Call, Outgoing, Wait},
};

/// A signal and its bus, looked up by the signal's name.
///
/// ```
/// use std::sync::Arc;
/// use microagent_core::{Bus, ErrorKind, MemoryBus};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let bus = Bus::new(Arc::new(MemoryBus::new()));
/// let signal = bus.undeclared("user_created")?;
/// signal.send("shell", &json!({"user_id": 7})).await?;
/// assert!(signal.send_counted("shell", &json!({"user_id": 7})).await?.is_none());
///
/// let nobody = signal.call("shell", &json!({"user_id": 7})).await;
/// assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NoResponders);
/// let no_object = signal.send("shell", &json!([7])).await;
/// assert_eq!(no_object.unwrap_err().kind(), ErrorKind::InvalidPayload);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct NamedSignal {
    pub(super) bus: Bus,
    pub(super) name: String,
}

impl NamedSignal {
    /// Sends the signal with these arguments, which must be a JSON object.
    ///
    /// # Errors
    /// Those of [`Bus::send`]; [`InvalidPayload`](crate::ErrorKind::InvalidPayload) for arguments that are not
    /// an object, and for NaN and infinite numbers.
    pub async fn send<T: Serialize + ?Sized>(&self, sender: &str, args: &T) -> Result<()> {
        self.send_counted(sender, args).await.map(drop)
    }

    /// Sends the signal like [`send`](Self::send), and returns the number of subscriptions that it reached.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_counted<T: Serialize + ?Sized>(
        &self,
        sender: &str,
        args: &T,
    ) -> Result<SubscriberCount> {
        self.bus.publish(&self.outgoing(sender, args)?).await
    }

    /// Sends the signal and waits for the first answer. Await the returned [`Call`].
    pub fn call<T: Serialize + ?Sized>(&self, sender: &str, args: &T) -> Call {
        Call::new(self.bus.clone(), self.outgoing(sender, args))
    }

    /// Sends the signal and collects all answers. Await the returned [`Wait`].
    pub fn waiter<T: Serialize + ?Sized>(&self, sender: &str, args: &T) -> Wait {
        Wait::new(self.bus.clone(), self.outgoing(sender, args))
    }

    fn outgoing<T: Serialize + ?Sized>(&self, sender: &str, args: &T) -> Result<Outgoing> {
        let declarations = self.bus.declarations();
        let declared = declarations.and_then(|known| known.signal(&self.name));
        self.bus.outgoing(&self.name, None, declared, sender, args)
    }
}
