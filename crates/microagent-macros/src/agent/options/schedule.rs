//! `#[periodic(period = 15, timeout = 1, start_after = 0, overlap = allow, jitter = 0)]` and
//! `#[cron("0 */4 * * *", timeout = 1, tz = "UTC", overlap = allow, jitter = 0, once)]`, both with `retry()`,
//! `on_error = retry`, `on_timeout = retry`, `on_panic = retry`.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result, ext::IdentExt, parse::ParseStream};

use super::{
    Kind, Options, failures, missing,
    once::OnceOption,
    parts::{self, Part, unknown},
    receiver::with,
};
use crate::{agent::values::Value, problems::Problems};

/// The options of `#[periodic]`.
const PERIODIC: [&str; 9] = [
    "period",
    "timeout",
    "start_after",
    "overlap",
    "jitter",
    "retry(…)",
    "on_error",
    "on_timeout",
    "on_panic",
];

/// The options of `#[cron]`.
const CRON: [&str; 9] = [
    "timeout",
    "tz",
    "overlap",
    "jitter",
    "once",
    "retry(…)",
    "on_error",
    "on_timeout",
    "on_panic",
];

/// A run that starts a day later is another day's.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads what stands in the parentheses of `#[periodic]`.
pub(super) fn periodic(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let (mut period, mut jitter, mut setters) = (None, None, TokenStream::new());
    parts::each(input, problems, |part| {
        match part {
            Part::Positional(word) if OnceOption::is(&word) => return Err(once_of_grid(&word)),
            Part::Positional(expression) => match parts::without_value(&expression, &PERIODIC) {
                Some(error) => return Err(error),
                None => set_period(&mut period, expression)?,
            },
            Part::Set(name, value) => setters.extend(match name.to_string().as_str() {
                "period" => return set_period(&mut period, value.expression()),
                "timeout" => with(&name, &value.positive_duration()?),
                "start_after" => with(&name, &value.duration()?),
                "overlap" => overlap(&value)?,
                "on_error" | "on_timeout" | "on_panic" => {
                    failures::follows(&name, &value, failures::OF_RUNS)?
                }
                "retry" => return Err(failures::retry_by_number(&value)),
                "jitter" => {
                    let setter = with(&name, &value.duration()?);
                    jitter = Some(value);
                    setter
                }
                "on_undecodable" => return Err(failures::nothing_to_decode(&name, "periodic")),
                _ => return Err(unknown(&name, "periodic", &PERIODIC)),
            }),
            Part::Group(name, inside) if name == "retry" => {
                setters.extend(failures::retry(&name, inside)?);
            }
            Part::Group(name, _) => return Err(unknown(&name, "periodic", &PERIODIC)),
        }
        Ok(())
    })?;
    let Some(period) = period else {
        if problems.count() == before {
            problems.at_span(start, missing("periodic"));
        }
        return Ok(None);
    };
    let shortest = period.known_duration();
    problems.keep(jitter.map_or(Ok(()), |jitter| check_jitter(&jitter, shortest)));
    let period = Some(period.positive_duration()?);
    Ok(Some(Kind::Periodic(Options { period, setters })))
}

fn once_of_grid(word: &Expr) -> Error {
    let message = "a periodic task counts from the start of its own process, so its replicas share no instants; \
                   `once` is an option of `#[cron]`";
    Error::new_spanned(word, message)
}

fn set_period(period: &mut Option<Value>, expression: Expr) -> Result<()> {
    let value = Value::from("period", expression);
    if period.is_some() {
        return Err(value
            .refused("it is given already; options are set by their names, as in `timeout = 5`"));
    }
    value.positive_duration()?;
    *period = Some(value);
    Ok(())
}

/// What is written down is compared here, what an expression says when the agent starts.
fn check_jitter(jitter: &Value, period: Option<Duration>) -> Result<()> {
    let (most, said) = match period.filter(|period| *period < DAY) {
        Some(period) => (period, format!("the period, which is {period:?},")),
        None => (DAY, "a day".to_owned()),
    };
    match jitter.known_duration() {
        Some(duration) if !duration.is_zero() && duration >= most => Err(jitter.refused(format!(
            "a run starts up to this much later; less than {said} is allowed"
        ))),
        _ => Ok(()),
    }
}

/// Reads what stands in the parentheses of `#[cron]`.
pub(super) fn cron(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let (mut schedule, mut setters) = (None, TokenStream::new());
    let mut once = OnceOption::default();
    if !input.peek(LitStr) && !input.peek(Ident::peek_any) {
        let error = input.error("a schedule stands in quotes: `#[cron(\"0 */4 * * *\")]`");
        // So that what follows it is no second error.
        input.parse::<TokenStream>()?;
        return Err(error);
    }
    parts::each(input, problems, |part| {
        match part {
            Part::Positional(word) if OnceOption::is(&word) => once.stands_there(&word)?,
            Part::Positional(expression) => set_schedule(&mut schedule, expression)?,
            Part::Set(name, value) => setters.extend(match name.to_string().as_str() {
                "timeout" => with(&name, &value.positive_duration()?),
                "tz" => {
                    let zone = value.text("the name of a time zone, such as `Europe/Berlin`,")?;
                    quote!(.tz(#zone))
                }
                "overlap" => overlap(&value)?,
                "on_error" | "on_timeout" | "on_panic" => {
                    failures::follows(&name, &value, failures::OF_RUNS)?
                }
                "retry" => return Err(failures::retry_by_number(&value)),
                "jitter" => {
                    check_jitter(&value, None)?;
                    with(&name, &value.duration()?)
                }
                "once" => return once.set(&value),
                "on_undecodable" => return Err(failures::nothing_to_decode(&name, "cron")),
                _ => return Err(unknown(&name, "cron", &CRON)),
            }),
            Part::Group(name, inside) if name == "once" => once.group(inside)?,
            Part::Group(name, inside) if name == "retry" => {
                setters.extend(failures::retry(&name, inside)?);
            }
            Part::Group(name, _) => return Err(unknown(&name, "cron", &CRON)),
        }
        Ok(())
    })?;
    let Some(schedule) = schedule else {
        if problems.count() == before {
            problems.at_span(start, missing("cron"));
        }
        return Ok(None);
    };
    setters.extend(once.into_setter());
    let options = Options {
        period: None,
        setters,
    };
    Ok(Some(Kind::Cron(schedule, options)))
}

fn set_schedule(schedule: &mut Option<LitStr>, expression: Expr) -> Result<()> {
    if let Some(error) = parts::without_value(&expression, &CRON) {
        return Err(error);
    }
    let may_follow = matches!(
        &expression,
        Expr::Path(_)
            | Expr::Lit(ExprLit {
                lit: Lit::Str(_),
                ..
            })
    );
    if schedule.is_some() && !may_follow {
        let message = "options are set by their names, as in `timeout = 5`";
        return Err(Error::new_spanned(expression, message));
    }
    if let Expr::Path(word) = &expression
        && let Some(name) = word.path.get_ident()
    {
        return Err(unknown(name, "cron", &CRON));
    }
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
