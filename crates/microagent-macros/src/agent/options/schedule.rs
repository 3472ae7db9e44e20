//! `#[periodic(15, …)]` with the options of [`PeriodicOptions`], and `#[cron("0 */4 * * *", …)]` with
//! those of [`CronOptions`].

use std::time::Duration;

use microagent_schema::{CronOptions, HandlerOptions, PeriodicOptions};
use proc_macro2::{Ident, TokenStream};
use syn::{Error, Expr, Lit, LitStr, Result, ext::IdentExt, parse::ParseStream};

use super::{Kind, missing, parts, reading::Reading};
use crate::problems::Problems;

/// Reads the contents of the parentheses of `#[periodic]`.
pub(super) fn periodic(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let mut reading = Reading::over(PeriodicOptions::every(Duration::MAX));
    parts::each(input, problems, |part| match reading.take(part)? {
        Some(again) if reading.has("period") => {
            let message = "`period`: it is given already; options are set by their names, as in `timeout = 5`";
            Err(Error::new_spanned(again, message))
        }
        Some(period) => reading.set_first("period", period),
        None => Ok(()),
    })?;
    let options = reading.finish("period", problems);
    if options.first.is_none() {
        if problems.count() == before {
            problems.at_span(start, missing("periodic"));
        }
        return Ok(None);
    }
    Ok(Some(Kind::Periodic(options)))
}

/// Reads the contents of the parentheses of `#[cron]`.
pub(super) fn cron(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let mut reading = Reading::over(CronOptions::at("@daily"));
    if !input.peek(LitStr) && !input.peek(Ident::peek_any) {
        let error = input.error("a schedule stands in quotes: `#[cron(\"0 */4 * * *\")]`");
        // Avoids a second error about the following tokens.
        input.parse::<TokenStream>()?;
        return Err(error);
    }
    parts::each(input, problems, |part| match reading.take(part)? {
        Some(schedule) => set_schedule(&mut reading, schedule),
        None => Ok(()),
    })?;
    let options = reading.finish("cron", problems);
    if options.first.is_none() {
        if problems.count() == before {
            problems.at_span(start, missing("cron"));
        }
        return Ok(None);
    }
    Ok(Some(Kind::Cron(options)))
}

fn set_schedule(reading: &mut Reading<CronOptions>, expression: Expr) -> Result<()> {
    // A schedule is a text, so a word is a misspelt option.
    if let Expr::Path(word) = &expression
        && let Some(name) = word.path.get_ident()
        && let Err(error) = CronOptions::form(&name.to_string())
    {
        return Err(parts::unknown::<CronOptions>(name, &error));
    }
    let is_text = matches!(&expression, Expr::Lit(literal) if matches!(literal.lit, Lit::Str(_)));
    if reading.has("cron") && !is_text {
        let message = "options are set by their names, as in `timeout = 5`";
        return Err(Error::new_spanned(expression, message));
    }
    if reading.has("cron") {
        let message = "`cron`: a second schedule; write a handler for each";
        return Err(Error::new_spanned(expression, message));
    }
    reading.set_first("cron", expression)
}
