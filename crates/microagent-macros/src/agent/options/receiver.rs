//! `#[receiver(Signal, …)]` with the options of [`ReceiverOptions`].

use microagent_schema::{ReceiverOptions, names};
use syn::{Error, Expr, ExprLit, Lit, Path, Result, parse::ParseStream};

use super::{Kind, Receiver, missing, parts, reading::Reading};
use crate::{
    field::type_name,
    problems::{Problems, shown},
};

/// Reads the contents of the parentheses.
pub(super) fn read(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let mut reading = Reading::over(ReceiverOptions::default());
    let mut signals = Vec::new();
    parts::each(input, problems, |part| match reading.take(part)? {
        Some(signal) => list(signal, &mut signals),
        None => Ok(()),
    })?;
    let options = reading.finish("", problems);
    if signals.is_empty() {
        if problems.count() == before {
            problems.at_span(start, missing("receiver"));
        }
        return Ok(None);
    }
    Ok(Some(Kind::Receiver(Receiver { signals, options })))
}

fn list(expression: Expr, signals: &mut Vec<Path>) -> Result<()> {
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

/// Reports an entry of a receiver that is not the path of a type.
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
