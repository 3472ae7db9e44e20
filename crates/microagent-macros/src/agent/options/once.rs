//! `once`, `once = true` and `once(crashed = skip, unavailable = skip)` of `#[cron]`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Error, Expr, MetaNameValue, Result, Token, parse::Parser, punctuated::Punctuated,
    spanned::Spanned,
};

use super::parts;
use crate::agent::values::Value;

/// What may be said in its parentheses.
const KNOWN: [&str; 2] = ["crashed", "unavailable"];

/// What a cron task says about its replicas.
#[derive(Default)]
pub(super) struct OnceOption {
    setter: Option<TokenStream>,
}

impl OnceOption {
    /// Whether a part without `=` is this option.
    pub(super) fn is(expression: &Expr) -> bool {
        matches!(expression, Expr::Path(path) if path.path.is_ident("once"))
    }

    /// `once`
    pub(super) fn stands_there(&mut self, word: &Expr) -> Result<()> {
        if self.setter.is_some() {
            return Err(Error::new_spanned(word, "`once` stands here twice"));
        }
        self.setter = Some(setter(&TokenStream::new()));
        Ok(())
    }

    /// `once = true`
    pub(super) fn set(&mut self, value: &Value) -> Result<()> {
        self.setter = value.boolean()?.then(|| setter(&TokenStream::new()));
        Ok(())
    }

    /// `once(crashed = run, unavailable = skip)`
    pub(super) fn group(&mut self, inside: TokenStream) -> Result<()> {
        let doubts = Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse2(inside)?;
        let (mut choices, mut seen) = (TokenStream::new(), Vec::new());
        for doubt in doubts {
            let name = doubt.path.require_ident()?.clone();
            if seen.contains(&name) {
                return Err(Error::new(
                    doubt.path.span(),
                    format!("`{name}` stands here twice"),
                ));
            }
            choices.extend(choice(&name, doubt.value)?);
            seen.push(name);
        }
        self.setter = Some(setter(&choices));
        Ok(())
    }

    /// The call of the builder, where it is asked for.
    pub(super) fn into_setter(self) -> Option<TokenStream> {
        self.setter
    }
}

fn choice(name: &Ident, value: Expr) -> Result<TokenStream> {
    if !KNOWN.contains(&name.to_string().as_str()) {
        return Err(parts::unknown(name, "cron(once(…))", &KNOWN));
    }
    let doubt = match Value::from(name, value).word(&["skip", "run"])?.as_str() {
        "run" => quote!(Run),
        _ => quote!(Skip),
    };
    Ok(quote!(.#name(::microagent::__private::Doubt::#doubt)))
}

fn setter(choices: &TokenStream) -> TokenStream {
    quote!(.once(::microagent::__private::Once::default() #choices))
}
