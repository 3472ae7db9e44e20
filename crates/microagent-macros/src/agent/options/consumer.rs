//! `#[consumer(QUEUE, …)]` with the options of [`ConsumerOptions`].

use microagent_schema::ConsumerOptions;
use syn::{Error, Expr, ExprLit, Lit, Result, parse::ParseStream};

use super::{Consumer, Kind, missing, parts, reading::Reading};
use crate::problems::{Problems, shown};

/// Reads what stands in the parentheses.
pub(super) fn read(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let mut reading = Reading::over(ConsumerOptions::default());
    let mut queue = None;
    parts::each(input, problems, |part| match reading.take(part)? {
        Some(expression) => take_from(expression, &mut queue),
        None => Ok(()),
    })?;
    let autoack = reading.known("autoack") != Some(&false.into());
    let options = reading.finish("", problems);
    let Some(queue) = queue else {
        if problems.count() == before {
            problems.at_span(start, missing("consumer"));
        }
        return Ok(None);
    };
    Ok(Some(Kind::Consumer(Consumer {
        queue,
        autoack,
        options,
    })))
}

fn take_from(expression: Expr, queue: &mut Option<Expr>) -> Result<()> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(name),
        ..
    }) = &expression
    {
        let message = format!(
            "a consumer names its queue by a constant: `queues::{}`, or `const QUEUE: Queue = Queue::new({name:?})`",
            name.value().to_uppercase(),
            name = name.value()
        );
        return Err(Error::new_spanned(expression, message));
    }
    if let Some(name) = parts::dotted(&expression) {
        let message = format!("write `queues::{}`", name.to_uppercase());
        return Err(Error::new_spanned(expression, message));
    }
    if let Expr::Path(path) = &expression
        && let Some(name) = parts::in_small_letters(&path.path)
    {
        let message = format!(
            "`{name}` is not the constant of a queue: write `{}`",
            name.to_uppercase()
        );
        return Err(Error::new_spanned(expression, message));
    }
    if let Some(first) = queue {
        let first = shown(first);
        let message = format!(
            "a consumer takes from one queue, and `{first}` is named already; write a consumer for each"
        );
        return Err(Error::new_spanned(expression, message));
    }
    *queue = Some(expression);
    Ok(())
}
