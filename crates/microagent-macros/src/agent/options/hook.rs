//! `#[on(create | pre_start | post_start | pre_stop | server | gap)]`.

use proc_macro2::{Ident, TokenStream};
use syn::{Error, Result, Token, ext::IdentExt, parse::ParseStream};

use super::Kind;
use crate::problems::allowed;

/// When a hook runs.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::agent) enum Hook {
    Create,
    PreStart,
    PostStart,
    PreStop,
    Server,
    Gap,
}

impl Hook {
    const ALL: [Self; 6] = [
        Self::Create,
        Self::PreStart,
        Self::PostStart,
        Self::PreStop,
        Self::Server,
        Self::Gap,
    ];

    /// The name in the attribute, which the blueprint's method has too.
    pub(in crate::agent) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
            Self::Server => "server",
            Self::Gap => "gap",
        }
    }
}

/// Reads what stands in the parentheses.
pub(super) fn read(input: ParseStream<'_>) -> Result<Option<Kind>> {
    let name = Ident::parse_any(input)?;
    let said = name.to_string();
    let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.name() == said) else {
        let message = format!(
            "there is no hook `{said}`; {}",
            allowed(&said, &Hook::ALL.map(Hook::name))
        );
        // So that what follows it is no second error.
        input.parse::<TokenStream>()?;
        return Err(Error::new(name.span(), message));
    };
    if input.is_empty() {
        return Ok(Some(Kind::Hook(hook)));
    }
    input.parse::<Option<Token![,]>>()?;
    let rest: TokenStream = input.parse()?;
    match rest.is_empty() {
        true => Ok(Some(Kind::Hook(hook))),
        false => Err(no_options(hook, &rest)),
    }
}

/// Marks the first option.
fn no_options(hook: Hook, rest: &TokenStream) -> Error {
    let (hook, option) = (hook.name(), rest.clone().into_iter().next());
    let why = match option.as_ref().map(ToString::to_string).as_deref() {
        Some("timeout") => ": a hook has no deadline",
        _ => "",
    };
    Error::new_spanned(option, format!("`#[on({hook})]` has no options{why}"))
}
