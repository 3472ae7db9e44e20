//! What follows a failure, in the attributes of all handlers: `retry(1, 4, 9)`, `on_error = retry`, `on_timeout`, `on_panic`
//! and, of those that have a payload, `on_undecodable`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Expr, Result, Token, parse::Parser, punctuated::Punctuated};

use super::receiver::with;
use crate::agent::values::Value;

/// What may follow the failure of a message.
pub(super) const OF_MESSAGES: &[&str] = &["retry", "dead_letter", "drop"];

/// What may follow the failure of anything else.
pub(super) const OF_RUNS: &[&str] = &["retry", "drop"];

/// The setter of `on_error = …` and its like.
pub(super) fn follows(name: &Ident, value: &Value, allowed: &[&str]) -> Result<TokenStream> {
    let follows = match value.word(allowed)?.as_str() {
        "dead_letter" => quote!(DeadLetter),
        "drop" => quote!(Drop),
        _ => quote!(Retry),
    };
    Ok(with(
        name,
        &quote!(::microagent::__private::OnFailure::#follows),
    ))
}

/// The setter of `retry(…)`.
pub(super) fn retry(name: &Ident, inside: TokenStream) -> Result<TokenStream> {
    let delays = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(inside)?;
    let delays: Vec<_> = delays
        .into_iter()
        .map(|delay| Value::from(name, delay).duration())
        .collect::<Result<_>>()?;
    Ok(quote!(.retry(::microagent::__private::RetryPolicy::after([#(#delays),*]))))
}

/// `on_undecodable` of a schedule.
pub(super) fn nothing_to_decode(name: &Ident, of: &str) -> syn::Error {
    let message = format!("`#[{of}]` has no option `{name}`: its runs have no payload to decode");
    syn::Error::new(name.span(), message)
}

/// `retry = 3`, which does not say when.
pub(super) fn retry_by_number(value: &Value) -> syn::Error {
    value.refused("write `retry(1, 4, 9)`: the delays before each retry")
}
