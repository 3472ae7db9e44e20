//! `#[receiver(Signal, …, timeout = 60, concurrency = 256, buffer = 1024, overflow = drop_oldest, retry(),
//! on_error = retry, on_timeout = retry, on_panic = retry, on_undecodable = drop)]`.

use microagent_schema::names;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, Path, Result, parse::ParseStream};

use super::{
    Kind, Options, Receiver, failures, missing,
    parts::{self, Part, unknown},
};
use crate::{
    agent::values::Value,
    field::type_name,
    problems::{Problems, shown},
};

const KNOWN: [&str; 9] = [
    "timeout",
    "concurrency",
    "buffer",
    "overflow",
    "retry(…)",
    "on_error",
    "on_timeout",
    "on_panic",
    "on_undecodable",
];

/// Reads what stands in the parentheses.
pub(super) fn read(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let (mut signals, mut setters) = (Vec::new(), TokenStream::new());
    parts::each(input, problems, |part| {
        match part {
            Part::Positional(expression) => list(expression, &mut signals)?,
            Part::Set(name, value) => setters.extend(match name.to_string().as_str() {
                "timeout" => with(&name, &value.positive_duration()?),
                "concurrency" => with(&name, &value.count(1)?.tokens),
                "buffer" => with(&name, &value.count(0)?.tokens),
                "overflow" => overflow(&value)?,
                "on_error" | "on_timeout" | "on_panic" | "on_undecodable" => {
                    failures::follows(&name, &value, failures::OF_RUNS)?
                }
                "retry" => return Err(failures::retry_by_number(&value)),
                _ => return Err(unknown(&name, "receiver", &KNOWN)),
            }),
            Part::Group(name, inside) if name == "retry" => {
                setters.extend(failures::retry(&name, inside)?);
            }
            Part::Group(name, _) => return Err(unknown(&name, "receiver", &KNOWN)),
        }
        Ok(())
    })?;
    if signals.is_empty() {
        if problems.count() == before {
            problems.at_span(start, missing("receiver"));
        }
        return Ok(None);
    }
    let options = Options {
        period: None,
        setters,
    };
    Ok(Some(Kind::Receiver(Receiver { signals, options })))
}

fn list(expression: Expr, signals: &mut Vec<Path>) -> Result<()> {
    if let Some(error) = parts::without_value(&expression, &KNOWN) {
        return Err(error);
    }
    let signal = match expression {
        Expr::Path(path) if path.qself.is_none() => path.path,
        other => return Err(no_type(&other)),
    };
    if let Some(name) = parts::in_small_letters(&signal) {
        let message = format!(
            "`{name}` is not the type of a signal: write `{}`",
            type_name(&name)
        );
        return Err(Error::new_spanned(signal, message));
    }
    if signals.contains(&signal) {
        let message = format!(
            "`{}` is listed already: the handler would run twice for each",
            shown(&signal)
        );
        return Err(Error::new_spanned(signal, message));
    }
    signals.push(signal);
    Ok(())
}

/// What a receiver lists that is not the path of a type.
fn no_type(expression: &Expr) -> Error {
    let name = match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) => Some(name.value()),
        other => parts::dotted(other),
    };
    let message = match (name, expression) {
        (Some(name), _) if names::check_signal(&name).is_ok() => format!(
            "a receiver lists types of signals: write `signals::{}`, or the type that derives `Signal`",
            type_name(&name)
        ),
        (_, Expr::Array(_) | Expr::Tuple(_)) => {
            "a receiver lists its signals without brackets: `#[receiver(UserCreated, UserUpdated)]`"
                .to_owned()
        }
        _ => "a receiver lists types of signals, such as `signals::UserCreated`, and its options"
            .to_owned(),
    };
    Error::new_spanned(expression, message)
}

fn overflow(value: &Value) -> Result<TokenStream> {
    let policy = match value.word(&["drop_oldest", "drop_newest"])?.as_str() {
        "drop_newest" => quote!(DropNewest),
        _ => quote!(DropOldest),
    };
    Ok(quote!(.overflow(::microagent::__private::Overflow::#policy)))
}

/// The call of the builder that has the option's name.
pub(super) fn with(name: &proc_macro2::Ident, value: &TokenStream) -> TokenStream {
    quote!(.#name(#value))
}
