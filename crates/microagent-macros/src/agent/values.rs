//! The values of options: durations, counts, words.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Expr, ExprLit, ExprPath, ExprUnary, Lit, UnOp, parse::Parse, parse::ParseStream,
    spanned::Spanned,
};

use crate::problems::allowed;

/// A duration: seconds as a number, text with a unit, or any expression of type `Duration`.
pub(super) struct DurationValue(pub(super) TokenStream);

/// A number of things: a number, or any expression of type `usize`.
pub(super) struct CountValue(pub(super) TokenStream);

/// What an option of time may be, for messages.
const DURATIONS: &str = "seconds (`30`, `0.5`), text with a unit (`\"1500ms\"`, `\"2m\"`) or an expression of type `Duration` are allowed";

impl Parse for DurationValue {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let value: Expr = input.parse()?;
        duration(&value).map(Self)
    }
}

impl DurationValue {
    /// A duration that must not be zero.
    pub(super) fn positive(input: ParseStream<'_>) -> syn::Result<Self> {
        let value: Expr = input.parse()?;
        if let Some(Ok(Duration::ZERO)) = literal_duration(&value) {
            return Err(syn::Error::new(value.span(), "it must be more than 0"));
        }
        duration(&value).map(Self)
    }
}

fn duration(value: &Expr) -> syn::Result<TokenStream> {
    match literal_duration(value) {
        Some(Ok(duration)) => {
            let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
            Ok(quote!(::microagent::__private::Duration::new(#seconds, #nanos)))
        }
        Some(Err(message)) => Err(syn::Error::new(value.span(), message)),
        None => Ok(quote!(#value)),
    }
}

/// The duration that a literal writes; none for other expressions.
fn literal_duration(value: &Expr) -> Option<Result<Duration, String>> {
    let text = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) if number.suffix().is_empty() => number.base10_digits().to_owned(),
        Expr::Lit(ExprLit {
            lit: Lit::Float(number),
            ..
        }) if number.suffix().is_empty() => number.base10_digits().to_owned(),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.value(),
        Expr::Lit(_) => return Some(Err(format!("it is no duration; {DURATIONS}"))),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), ..
        }) => return Some(Err(format!("it is negative; {DURATIONS}"))),
        _ => return None,
    };
    Some(microagent_schema::parse_duration(&text).map_err(|error| error.to_string()))
}

impl CountValue {
    /// A number of at least `least`.
    pub(super) fn at_least(least: u64, input: ParseStream<'_>) -> syn::Result<Self> {
        let value: Expr = input.parse()?;
        let refused = || {
            syn::Error::new(
                value.span(),
                format!("a whole number of at least {least} is allowed"),
            )
        };
        match &value {
            Expr::Lit(ExprLit {
                lit: Lit::Int(number),
                ..
            }) => match number.base10_parse::<u64>() {
                Ok(count) if count >= least => Ok(Self(quote!(#value))),
                _ => Err(refused()),
            },
            Expr::Lit(_) | Expr::Unary(_) => Err(refused()),
            _ => Ok(Self(quote!(#value))),
        }
    }
}

/// One of these words.
pub(super) fn word(known: &[&str], input: ParseStream<'_>) -> syn::Result<String> {
    let value: Expr = input.parse()?;
    let said = match &value {
        Expr::Path(ExprPath { path, .. }) => path.get_ident().map(ToString::to_string),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    };
    match said {
        Some(said) if known.contains(&said.as_str()) => Ok(said),
        said => Err(syn::Error::new(
            value.span(),
            allowed(&said.unwrap_or_default(), known),
        )),
    }
}

/// A text.
pub(super) fn text(what: &str, input: ParseStream<'_>) -> syn::Result<syn::LitStr> {
    let value: Expr = input.parse()?;
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text),
        other => Err(syn::Error::new(
            other.span(),
            format!("{what} is allowed, as a text in quotes"),
        )),
    }
}

/// `true` or `false`.
pub(super) fn boolean(input: ParseStream<'_>) -> syn::Result<bool> {
    let value: Expr = input.parse()?;
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(value),
            ..
        }) => Ok(value.value),
        other => Err(syn::Error::new(
            other.span(),
            "`true` and `false` are allowed",
        )),
    }
}
