//! `#[on(create | pre_start | post_start | pre_stop | server | gap)]`.

use microagent_schema::suggest;
use proc_macro2::{Ident, Span, TokenStream};
use syn::{Error, LitStr, Result, Token, ext::IdentExt, parse::ParseStream};

use super::{Kind, missing};

/// The moment in the life of an agent at which a hook runs.
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
    pub(in crate::agent) const ALL: [Self; 6] = [
        Self::Create,
        Self::PreStart,
        Self::PostStart,
        Self::PreStop,
        Self::Server,
        Self::Gap,
    ];

    /// Returns the name in the attribute, which is also the name of the blueprint's method.
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

/// Reads the contents of the parentheses.
pub(super) fn read(input: ParseStream<'_>) -> Result<Option<Kind>> {
    let (name_text, span) = name(input)?;
    let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.name() == name_text) else {
        let message = suggest::unknown("hook", &name_text, Hook::ALL.map(Hook::name));
        // Avoids a second error about the following tokens.
        input.parse::<TokenStream>()?;
        return Err(Error::new(span, message));
    };
    if input.is_empty() {
        return Ok(Some(Kind::Hook(hook)));
    }
    input.parse::<Option<Token![,]>>()?;
    let rest: TokenStream = input.parse()?;
    if rest.is_empty() {
        Ok(Some(Kind::Hook(hook)))
    } else {
        Err(no_options(hook, &rest))
    }
}

/// Returns the name of the hook, as a word or, as in Python, as a text in quotes.
fn name(input: ParseStream<'_>) -> Result<(String, Span)> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Ok((text.value(), text.span()));
    }
    match Ident::parse_any(input) {
        Ok(name) => Ok((name.to_string(), name.span())),
        Err(error) => Err(Error::new(error.span(), missing("on"))),
    }
}

/// Reports the first option.
fn no_options(hook: Hook, rest: &TokenStream) -> Error {
    let (hook, option) = (hook.name(), rest.clone().into_iter().next());
    let name_text = option
        .as_ref()
        .map(|option| option.to_string().replace('"', ""));
    let why = match name_text.as_deref() {
        Some("timeout") => ": a hook has no deadline",
        Some(other) if Hook::ALL.iter().any(|known| known.name() == other) => {
            ": a method is one hook, so write a method for each"
        }
        _ => "",
    };
    Error::new_spanned(option, format!("`#[on({hook})]` has no options{why}"))
}
