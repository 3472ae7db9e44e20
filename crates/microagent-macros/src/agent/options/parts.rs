//! The parts of an attribute between its commas. Each attribute interprets its parts.

use microagent_schema::{Form, HandlerOptions, OptionError};
use proc_macro2::{Ident, TokenStream};
use syn::{
    Error, Expr, Member, Path, Result, Token, ext::IdentExt, parenthesized, parse::ParseStream,
};

use super::super::values::Value;
use crate::problems::Problems;

/// The text between two commas.
pub(super) enum Part {
    /// `signals::UserCreated`, `"0 * * * *"`
    Positional(Expr),
    /// `name = value`
    Set(Ident, Value),
    /// `name(…)`
    Group(Ident, TokenStream),
}

/// Reads all parts. An invalid part is skipped, so that all errors are reported at once.
pub(super) fn each(
    input: ParseStream<'_>,
    problems: &mut Problems,
    mut take: impl FnMut(Part) -> Result<()>,
) -> Result<()> {
    while !input.is_empty() {
        let part = next(input)?;
        if !input.is_empty() && input.parse::<Token![,]>().is_err() {
            return Err(
                input.error("a `,` is expected here; an option is set by `=`, as in `timeout = 5`")
            );
        }
        problems.keep(take(part));
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

/// Returns the error for an unknown option: the correct spelling, if one is known, else the available options.
pub(super) fn unknown<T: HandlerOptions>(name: &Ident, error: &OptionError) -> Error {
    let name_text = name.unraw().to_string();
    match instead(T::ATTRIBUTE, &name_text) {
        Some(instead) => Error::new(
            name.span(),
            format!("`{name_text}`: unknown option; {instead}"),
        ),
        None => Error::new(name.span(), error),
    }
}

/// Returns the correct spelling of a feature that is not written as an option.
fn instead(of: &str, name_text: &str) -> Option<&'static str> {
    Some(match (of, name_text) {
        ("receiver", "signal" | "signals") => {
            "the signals stand first, without a name: `#[receiver(UserCreated)]`"
        }
        ("consumer", "queue") => "the queue stands first, without a name: `#[consumer(MAILER)]`",
        ("consumer", "dto_class" | "dto_name") => {
            "take the whole payload as a parameter: `Payload(mail): Payload<Mail>`"
        }
        ("cron", "spec" | "schedule") => {
            "the schedule stands first, without a name: `#[cron(\"0 */4 * * *\")]`"
        }
        _ => return None,
    })
}

/// Returns the error for an option without a value.
pub(super) fn without_value(name: &Ident, form: Form) -> Error {
    let usage = match form {
        Form::Times | Form::Texts => format!("{name}(…)"),
        _ => format!("{name} = …"),
    };
    let message = format!("`{name}` needs a value: `{usage}`");
    Error::new(name.span(), message)
}

/// Returns the name in `signals.user_created`, as Python writes a path.
pub(super) fn dotted(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Field(field) => match &field.member {
            Member::Named(name) => Some(name.to_string()),
            Member::Unnamed(_) => None,
        },
        _ => None,
    }
}

/// Returns the last name of a path, if it is written in small letters.
pub(super) fn in_small_letters(path: &Path) -> Option<String> {
    let name = path.segments.last()?.ident.unraw().to_string();
    let small = |letter: char| letter == '_' || letter.is_ascii_digit() || letter.is_lowercase();
    name.chars().all(small).then_some(name)
}
