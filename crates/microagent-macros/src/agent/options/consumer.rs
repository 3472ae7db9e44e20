//! `#[consumer(QUEUE, timeout = 60, concurrency = 16, prefetch = 32, autoack = true, retry(1, 4, 9), dead_letter = "…",
//! max_crashes = 3, on_error = retry, on_timeout = retry, on_panic = retry, on_undecodable = dead_letter,
//! driver(name = value))]`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Error, Expr, ExprLit, Lit, Result, Token, ext::IdentExt, parse::ParseStream, parse::Parser,
};

use super::{
    Consumer, Kind, Options, failures, missing,
    parts::{self, Part, unknown},
    receiver::with,
};
use crate::{
    agent::values::Value,
    problems::{Problems, shown},
};

const KNOWN: [&str; 12] = [
    "timeout",
    "concurrency",
    "prefetch",
    "autoack",
    "retry(…)",
    "on_error",
    "on_timeout",
    "on_panic",
    "on_undecodable",
    "dead_letter",
    "max_crashes",
    "driver(…)",
];

/// How many handlers run at a time where the attribute does not say.
const DEFAULT_CONCURRENCY: u64 = 16;

/// What was read so far.
struct Reading {
    queue: Option<Expr>,
    autoack: bool,
    /// None where an expression says it.
    concurrency: Option<u64>,
    prefetch: Option<(u64, Value)>,
    setters: TokenStream,
}

/// Reads what stands in the parentheses.
pub(super) fn read(input: ParseStream<'_>, problems: &mut Problems) -> Result<Option<Kind>> {
    let (start, before) = (input.span(), problems.count());
    let mut reading = Reading {
        queue: None,
        autoack: true,
        concurrency: Some(DEFAULT_CONCURRENCY),
        prefetch: None,
        setters: TokenStream::new(),
    };
    parts::each(input, problems, |part| match part {
        Part::Positional(expression) => reading.take_from(expression),
        Part::Set(name, value) => reading.set(&name, value),
        Part::Group(name, inside) => reading.group(&name, inside),
    })?;
    problems.keep(reading.check_prefetch());
    let Some(queue) = reading.queue else {
        if problems.count() == before {
            problems.at_span(start, missing("consumer"));
        }
        return Ok(None);
    };
    Ok(Some(Kind::Consumer(Consumer {
        queue,
        autoack: reading.autoack,
        options: Options {
            period: None,
            setters: reading.setters,
        },
    })))
}

impl Reading {
    fn take_from(&mut self, queue: Expr) -> Result<()> {
        if let Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) = &queue
        {
            let message = format!(
                "a consumer names its queue by a constant: `queues::{}`, or `const QUEUE: Queue = Queue::new({name:?})`",
                name.value().to_uppercase(),
                name = name.value()
            );
            return Err(Error::new_spanned(queue, message));
        }
        if let Some(error) = parts::without_value(&queue, &KNOWN) {
            return Err(error);
        }
        if let Some(name) = parts::dotted(&queue) {
            let message = format!("write `queues::{}`", name.to_uppercase());
            return Err(Error::new_spanned(queue, message));
        }
        if let Expr::Path(path) = &queue
            && let Some(name) = parts::in_small_letters(&path.path)
        {
            let message = format!(
                "`{name}` is not the constant of a queue: write `{}`",
                name.to_uppercase()
            );
            return Err(Error::new_spanned(queue, message));
        }
        if let Some(first) = &self.queue {
            let first = shown(first);
            let message = format!(
                "a consumer takes from one queue, and `{first}` is named already; write a consumer for each"
            );
            return Err(Error::new_spanned(queue, message));
        }
        self.queue = Some(queue);
        Ok(())
    }

    fn set(&mut self, name: &Ident, value: Value) -> Result<()> {
        let setter = match name.to_string().as_str() {
            "timeout" => with(name, &value.positive_duration()?),
            "autoack" => {
                self.autoack = value.boolean()?;
                let autoack = self.autoack;
                quote!(.autoack(#autoack))
            }
            "concurrency" => {
                let count = value.count(1)?;
                self.concurrency = count.known;
                with(name, &count.tokens)
            }
            "prefetch" => {
                let count = value.count(1)?;
                self.prefetch = count.known.map(|known| (known, value));
                with(name, &count.tokens)
            }
            "max_crashes" => with(name, &value.count(1)?.tokens),
            "dead_letter" => dead_letter(&value)?,
            "on_error" | "on_timeout" | "on_panic" | "on_undecodable" => {
                failures::follows(name, &value, failures::OF_MESSAGES)?
            }
            "retry" => return Err(failures::retry_by_number(&value)),
            "driver" => return Err(value.refused("write `driver(name = \"value\")`")),
            _ => return Err(unknown(name, "consumer", &KNOWN)),
        };
        self.setters.extend(setter);
        Ok(())
    }

    fn group(&mut self, name: &Ident, inside: TokenStream) -> Result<()> {
        let setters = match name.to_string().as_str() {
            "retry" => failures::retry(name, inside)?,
            "driver" => driver.parse2(inside)?,
            _ => return Err(unknown(name, "consumer", &KNOWN)),
        };
        self.setters.extend(setters);
        Ok(())
    }

    fn check_prefetch(&self) -> Result<()> {
        match (&self.prefetch, self.concurrency) {
            (Some((prefetch, value)), Some(concurrency)) if *prefetch < concurrency => {
                Err(value.refused(format!(
                    "{prefetch} is less than `concurrency`, which is {concurrency}: every running handler has a message \
                     out of the queue; at least {concurrency} is allowed, or a smaller `concurrency`"
                )))
            }
            _ => Ok(()),
        }
    }
}

fn dead_letter(value: &Value) -> Result<TokenStream> {
    let name = value.text("the name of a queue, or `none`,")?;
    if name.value() == "none" {
        return Ok(quote!(.dead_letter(::microagent::__private::DeadLetter::None)));
    }
    let given = name.value();
    let declared = given.strip_suffix(".dead").unwrap_or(&given);
    microagent_schema::names::check_queue(declared).map_err(|error| value.refused(error))?;
    Ok(quote!(.dead_letter(::microagent::__private::DeadLetter::Queue(#name.into()))))
}

fn driver(inside: ParseStream<'_>) -> Result<TokenStream> {
    let (mut setters, mut seen) = (TokenStream::new(), Vec::new());
    while !inside.is_empty() {
        let name = Ident::parse_any(inside)?;
        inside.parse::<Token![=]>()?;
        let text = Value::of(&name, inside)?.driver_text()?;
        let key = name.unraw().to_string();
        if seen.contains(&key) {
            return Err(Error::new(
                name.span(),
                format!("`{key}` stands here twice"),
            ));
        }
        setters.extend(quote!(.native(#key, #text)));
        seen.push(key);
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(setters)
}
