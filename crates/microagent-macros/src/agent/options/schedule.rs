//! `#[periodic(period = 15, timeout = 1, start_after = 0, overlap = allow)]` and
//! `#[cron("0 */4 * * *", timeout = 1, tz = "UTC", overlap = allow)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, LitStr, Result, parse::ParseStream};

use super::{
    Kind, Options, missing,
    parts::{self, Part, unknown},
    receiver::with,
};
use crate::{agent::values::Value, problems::Problems};

/// Reads what stands in the parentheses of `#[periodic]`.
pub(super) fn periodic(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    const KNOWN: [&str; 4] = ["period", "timeout", "start_after", "overlap"];
    let (start, before) = (input.span(), problems.count());
    let (mut period, mut setters) = (None, TokenStream::new());
    parts::each(input, problems, |part| {
        match part {
            Part::Positional(expression) => set_period(&mut period, expression)?,
            Part::Set(name, value) => setters.extend(match name.to_string().as_str() {
                "period" => return set_period(&mut period, value.expression()),
                "timeout" => with(&name, &value.positive_duration()?),
                "start_after" => with(&name, &value.duration()?),
                "overlap" => overlap(&value)?,
                _ => return Err(unknown(&name, "periodic", &KNOWN)),
            }),
            Part::Group(name, _) => return Err(unknown(&name, "periodic", &KNOWN)),
        }
        Ok(())
    })?;
    if period.is_none() {
        if problems.count() == before {
            problems.at_span(start, missing("periodic"));
        }
        return Ok(None);
    }
    Ok(Some(Kind::Periodic(Options { period, setters })))
}

fn set_period(period: &mut Option<TokenStream>, expression: Expr) -> Result<()> {
    let value = Value::from("period", expression);
    match period {
        Some(_) => Err(value.refused("it is given already")),
        None => {
            *period = Some(value.positive_duration()?);
            Ok(())
        }
    }
}

/// Reads what stands in the parentheses of `#[cron]`.
pub(super) fn cron(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    const KNOWN: [&str; 3] = ["timeout", "tz", "overlap"];
    let (start, before) = (input.span(), problems.count());
    let (mut schedule, mut setters) = (None, TokenStream::new());
    parts::each(input, problems, |part| {
        match part {
            Part::Positional(expression) => set_schedule(&mut schedule, expression)?,
            Part::Set(name, value) => setters.extend(match name.to_string().as_str() {
                "timeout" => with(&name, &value.positive_duration()?),
                "tz" => {
                    let zone = value.text("the name of a time zone, such as `Europe/Berlin`,")?;
                    quote!(.tz(#zone))
                }
                "overlap" => overlap(&value)?,
                _ => return Err(unknown(&name, "cron", &KNOWN)),
            }),
            Part::Group(name, _) => return Err(unknown(&name, "cron", &KNOWN)),
        }
        Ok(())
    })?;
    let Some(schedule) = schedule else {
        if problems.count() == before {
            problems.at_span(start, missing("cron"));
        }
        return Ok(None);
    };
    let options = Options {
        period: None,
        setters,
    };
    Ok(Some(Kind::Cron(schedule, options)))
}

fn set_schedule(schedule: &mut Option<LitStr>, expression: Expr) -> Result<()> {
    let value = Value::from("cron", expression);
    let text = value.text("a schedule of five fields, such as `0 */4 * * *`,")?;
    microagent_schema::CronSpec::parse(&text.value())
        .map_err(|error| Error::new(text.span(), error))?;
    match schedule.replace(text) {
        Some(_) => Err(value.refused("a second schedule; write a handler for each")),
        None => Ok(()),
    }
}

fn overlap(value: &Value) -> Result<TokenStream> {
    let policy = match value.word(&["allow", "skip", "queue"])?.as_str() {
        "skip" => quote!(Skip),
        "queue" => quote!(Queue),
        _ => quote!(Allow),
    };
    Ok(quote!(.overlap(::microagent::__private::Overlap::#policy)))
}
