//! The parts of an attribute, between its commas, one by one; what a part means is the attribute's concern.

use proc_macro2::{Ident, TokenStream};
use syn::{Error, Expr, Result, Token, ext::IdentExt, parenthesized, parse::ParseStream};

use super::super::values::Value;
use crate::problems::{Problems, allowed};

/// What stands between two commas.
pub(super) enum Part {
    /// `signals::UserCreated`, `"0 * * * *"`
    Positional(Expr),
    /// `name = value`
    Set(Ident, Value),
    /// `name(…)`
    Group(Ident, TokenStream),
}

/// Reads all parts; one that is wrong is skipped, so that everything that is wrong is said at once.
pub(super) fn each(
    input: ParseStream<'_>,
    problems: &mut Problems,
    mut take: impl FnMut(Part) -> Result<()>,
) -> Result<()> {
    let mut seen: Vec<Ident> = Vec::new();
    while !input.is_empty() {
        let part = next(input)?;
        if let Part::Set(name, _) | Part::Group(name, _) = &part {
            if seen.contains(name) {
                problems.at(name, format!("`{name}` stands here twice"));
            }
            seen.push(name.clone());
        }
        problems.keep(take(part));
        if input.is_empty() {
            break;
        }
        if input.parse::<Token![,]>().is_err() {
            return Err(
                input.error("a `,` is expected here; an option is set by `=`, as in `timeout = 5`")
            );
        }
    }
    Ok(())
}

fn next(input: ParseStream<'_>) -> Result<Part> {
    if input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
        let name = Ident::parse_any(input)?;
        input.parse::<Token![=]>()?;
        let value = Value::of(&name, input)?;
        return Ok(Part::Set(name, value));
    }
    if input.peek(syn::Ident) && input.peek2(syn::token::Paren) {
        let name = input.parse()?;
        let inside;
        parenthesized!(inside in input);
        return Ok(Part::Group(name, inside.parse()?));
    }
    input.parse().map(Part::Positional)
}

/// There is no such option; `known` are those that there are.
pub(super) fn unknown(name: &Ident, of: &str, known: &[&str]) -> Error {
    let said = name.to_string();
    let message = format!(
        "`#[{of}]` has no option `{said}`; {}",
        allowed(&said, known)
    );
    Error::new(name.span(), message)
}
