//! The agents of the guide's transcript.

use std::sync::LazyLock;

use microagent_core::{
    Blueprint, ConsumerOptions, Context, Error, Fields, HandlerReply, MicroAgent, Queue,
    ReceiverOptions, Result, Signal, SignalDeclaration,
};
use serde::{Deserialize, Serialize};

/// Asks for the number of comments of a user.
#[derive(Serialize, Deserialize)]
struct RpcCommentsCount {
    user_id: u64,
}

impl Signal for RpcCommentsCount {
    const NAME: &'static str = "rpc_comments_count";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("rpc_comments_count", ["user_id"]));
        &DECLARED
    }
}

/// Every user has as many comments as the half of their number.
pub(crate) struct CommentAgent;

/// Sends nothing: its mail server says no, and it knows nobody of the name `nobody`.
pub(crate) struct Mailer;

impl MicroAgent for CommentAgent {
    const NAME: &'static str = "CommentAgent";

    fn blueprint() -> Blueprint<Self> {
        let options = ReceiverOptions::default();
        Blueprint::new().receiver::<RpcCommentsCount>("comments_count", options, |_, signal| {
            let user_id: u64 = signal.fields.get("user_id")?;
            Ok(Box::pin(async move { HandlerReply::of(&(user_id / 2)) }))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

impl MicroAgent for Mailer {
    const NAME: &'static str = "Mailer";

    fn blueprint() -> Blueprint<Self> {
        let options = ConsumerOptions::default();
        Blueprint::new().consumer("send", Queue::new("mailer"), options, |_, taken| {
            let email: String = Fields::of(taken.message.payload())?.get("email")?;
            Ok(Box::pin(async move {
                if email.starts_with("nobody@") {
                    Err(Error::terminal("no such customer"))
                } else {
                    Err("smtp said no".into())
                }
            }))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}
