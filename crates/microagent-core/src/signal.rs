//! Signals are types: a strict, declared set of arguments under a name.

use serde::{Serialize, de::DeserializeOwned};

use microagent_schema::SignalDeclaration;

/// A declared signal. `declare!` and `#[derive(Signal)]` implement it.
///
/// By hand:
///
/// ```
/// use std::sync::LazyLock;
/// use microagent_core::{Signal, SignalDeclaration};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct UserCreated {
///     user_id: u64,
/// }
///
/// impl Signal for UserCreated {
///     const NAME: &'static str = "user_created";
///
///     fn declaration() -> &'static SignalDeclaration {
///         static DECLARED: LazyLock<SignalDeclaration> =
///             LazyLock::new(|| SignalDeclaration::untyped("user_created", ["user_id"]));
///         &DECLARED
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a signal",
    label = "a declared signal is expected",
    note = "signals are types: `#[derive(Serialize, Deserialize, Signal)]` on a struct with named fields, or `signals::UserCreated` of \
            `declare!`; by a name that is known only at run time: `bus.signal(name)?.send(sender, &json!({{…}}))`"
)]
pub trait Signal: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire, `[a-z_][a-z0-9_]*`.
    const NAME: &'static str;

    /// The `default_prefix` of the declarations that it comes from. A bus with a prefix of its own ignores it.
    const PREFIX: Option<&'static str> = None;

    /// The arguments as they are declared, to check what is sent and received against.
    fn declaration() -> &'static SignalDeclaration;
}
