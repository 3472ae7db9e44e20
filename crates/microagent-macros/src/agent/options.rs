//! What stands in a handler's attribute: what it listens to, and its options.

use std::fmt;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Expr, LitStr, Meta, Path, Token, parenthesized,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

use super::values::{CountValue, DurationValue, boolean, text, word};
use crate::problems::{Problems, allowed};

/// What a handler is.
pub(super) enum Kind {
    Receiver(Receiver),
    Consumer(Consumer),
    Periodic(Options),
    Cron(LitStr, Options),
    Hook(Hook),
}

pub(super) struct Receiver {
    pub(super) signals: Vec<Path>,
    pub(super) options: Options,
}

pub(super) struct Consumer {
    pub(super) queue: Expr,
    pub(super) autoack: bool,
    pub(super) options: Options,
}

/// Calls of the options' builder, `.timeout(…)` and so on, and for a periodic task its period.
#[derive(Default)]
pub(super) struct Options {
    pub(super) period: Option<TokenStream>,
    pub(super) setters: TokenStream,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Hook {
    Create,
    PreStart,
    PostStart,
    PreStop,
    Server,
    Gap,
}

const HOOKS: [(&str, Hook); 6] = [
    ("create", Hook::Create),
    ("pre_start", Hook::PreStart),
    ("post_start", Hook::PostStart),
    ("pre_stop", Hook::PreStop),
    ("server", Hook::Server),
    ("gap", Hook::Gap),
];

/// A kind's name, as messages call it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum KindName {
    Receiver,
    Consumer,
    Periodic,
    Cron,
    On(&'static str),
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver => f.write_str("a receiver"),
            Self::Consumer => f.write_str("a consumer"),
            Self::Periodic => f.write_str("a periodic task"),
            Self::Cron => f.write_str("a cron task"),
            Self::On(hook) => write!(f, "`#[on({hook})]`"),
        }
    }
}

impl Kind {
    pub(super) fn name(&self) -> KindName {
        match self {
            Self::Receiver(_) => KindName::Receiver,
            Self::Consumer(_) => KindName::Consumer,
            Self::Periodic(_) => KindName::Periodic,
            Self::Cron(..) => KindName::Cron,
            Self::Hook(hook) => KindName::On(
                HOOKS
                    .iter()
                    .find(|(_, known)| known == hook)
                    .map_or("", |(name, _)| name),
            ),
        }
    }

    /// The parameters that it may have, for messages.
    pub(super) fn parameters(&self) -> &'static str {
        match self {
            Self::Receiver(_) => {
                "`&Context`, `Sender`, `SignalName`, the listed signal, its fields by name, `Payload<T>` and `Kwargs`"
            }
            Self::Consumer(_) => {
                "`&Context`, `&Message`, `Delivery`, fields of the payload by name, `Payload<T>` and `Kwargs`"
            }
            Self::Hook(Hook::Gap) => "`&Context` and `&Gap`",
            _ => "`&Context`",
        }
    }

    /// Whether a receiver lists a signal whose type has this name.
    pub(super) fn lists_signal(&self, name: &str) -> bool {
        match self {
            Self::Receiver(receiver) => receiver
                .signals
                .iter()
                .any(|signal| super::parse::last_name(signal) == name),
            _ => false,
        }
    }
}

/// Reads a handler's attribute.
pub(super) fn kind(name: &str, attribute: &Attribute, problems: &mut Problems) -> Option<Kind> {
    let (tokens, empty) = match &attribute.meta {
        Meta::List(list) => (list.tokens.clone(), list.tokens.is_empty()),
        Meta::Path(_) => (TokenStream::new(), true),
        Meta::NameValue(_) => {
            problems.at(attribute, format!("write `#[{name}(…)]`"));
            return None;
        }
    };
    if empty {
        problems.at(attribute, missing(name));
        return None;
    }
    let read = |input: ParseStream<'_>| match name {
        "receiver" => receiver(input, problems),
        "consumer" => consumer(input, problems),
        "periodic" => periodic(input, problems),
        "cron" => cron(input, problems),
        _ => hook(input),
    };
    match read.parse2(tokens) {
        Ok(kind) => kind,
        Err(error) => {
            problems.add(error);
            None
        }
    }
}

fn missing(name: &str) -> &'static str {
    match name {
        "receiver" => "a receiver lists the signals that it hears: `#[receiver(UserCreated)]`",
        "consumer" => "a consumer names its queue: `#[consumer(MAILER)]`",
        "periodic" => "a periodic task has a period: `#[periodic(15)]` runs every 15 seconds",
        "cron" => "a cron task has a schedule: `#[cron(\"0 */4 * * *\")]`",
        _ => {
            "a hook says when it runs: `create`, `pre_start`, `post_start`, `pre_stop`, `server` or `gap`"
        }
    }
}

/// What a handler is about is missing; said only where nothing wrong stands in its place.
fn none_of(name: &str, start: Span, before: usize, problems: &mut Problems) -> Option<Kind> {
    if problems.count() == before {
        problems.at_span(start, missing(name));
    }
    None
}

/// What stands between two commas.
enum Part {
    Positional,
    /// `name = value`
    Value(Ident),
    /// `name(…)`
    Group(Ident),
}

fn part(input: ParseStream<'_>, groups: &[&str]) -> syn::Result<Part> {
    let ahead = input.fork();
    let Ok(name) = ahead.parse::<Ident>() else {
        return Ok(Part::Positional);
    };
    if ahead.peek(Token![=]) && !ahead.peek(Token![==]) {
        input.parse::<Ident>()?;
        input.parse::<Token![=]>()?;
        return Ok(Part::Value(name));
    }
    if ahead.peek(syn::token::Paren) && groups.contains(&name.to_string().as_str()) {
        input.parse::<Ident>()?;
        return Ok(Part::Group(name));
    }
    Ok(Part::Positional)
}

/// Reads the parts of an attribute one by one; a part that is wrong is skipped, so that all are read.
fn parts(
    input: ParseStream<'_>,
    groups: &[&str],
    problems: &mut Problems,
    mut read: impl FnMut(&Part, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut seen: Vec<String> = Vec::new();
    while !input.is_empty() {
        let part = part(input, groups)?;
        if let Part::Value(name) | Part::Group(name) = &part {
            if seen.contains(&name.to_string()) {
                problems.at(name, format!("`{name}` stands here twice"));
            }
            seen.push(name.to_string());
        }
        if let Err(error) = read(&part, input) {
            problems.add(error);
            skip_to_comma(input)?;
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

fn unknown(name: &Ident, of: &str, known: &[&str]) -> syn::Error {
    let said = name.to_string();
    syn::Error::new(
        name.span(),
        format!(
            "`#[{of}]` has no option `{said}`; {}",
            allowed(&said, known)
        ),
    )
}

fn receiver(input: ParseStream<'_>, problems: &mut Problems) -> syn::Result<Option<Kind>> {
    const KNOWN: [&str; 4] = ["timeout", "concurrency", "buffer", "overflow"];
    let before = problems.count();
    let (start, mut signals, mut setters) = (input.span(), Vec::new(), TokenStream::new());
    parts(input, &[], problems, |part, input| {
        let setter = match part {
            Part::Value(name) => match name.to_string().as_str() {
                "timeout" => duration_setter(name, DurationValue::positive(input)?),
                "concurrency" => count_setter(name, CountValue::at_least(1, input)?),
                "buffer" => count_setter(name, CountValue::at_least(0, input)?),
                "overflow" => match word(&["drop_oldest", "drop_newest"], input)?.as_str() {
                    "drop_newest" => {
                        quote!(.overflow(::microagent::__private::Overflow::DropNewest))
                    }
                    _ => quote!(.overflow(::microagent::__private::Overflow::DropOldest)),
                },
                _ => return Err(unknown(name, "receiver", &KNOWN)),
            },
            _ => {
                signals.push(signal(input)?);
                return Ok(());
            }
        };
        setters.extend(setter);
        Ok(())
    })?;
    if signals.is_empty() {
        return Ok(none_of("receiver", start, before, problems));
    }
    Ok(Some(Kind::Receiver(Receiver {
        signals,
        options: Options {
            period: None,
            setters,
        },
    })))
}

fn signal(input: ParseStream<'_>) -> syn::Result<Path> {
    let expression: Expr = input.parse()?;
    match expression {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => Err(syn::Error::new(
            other.span(),
            "a receiver lists types of signals, such as `signals::UserCreated`, and then its options",
        )),
    }
}

fn consumer(input: ParseStream<'_>, problems: &mut Problems) -> syn::Result<Option<Kind>> {
    let before = problems.count();
    let (start, mut queue, mut autoack, mut setters) =
        (input.span(), None, true, TokenStream::new());
    parts(input, &["retry", "driver"], problems, |part, input| {
        match part {
            Part::Value(name) if name == "autoack" => {
                autoack = boolean(input)?;
                setters.extend(quote!(.autoack(#autoack)));
            }
            Part::Value(name) => setters.extend(consumer_setter(name, input)?),
            Part::Group(name) if name == "retry" => setters.extend(retry(input)?),
            Part::Group(_) => setters.extend(driver(input)?),
            Part::Positional => {
                let expression: Expr = input.parse()?;
                if let Some(first) = queue.replace(expression.clone()) {
                    queue = Some(first);
                    return Err(syn::Error::new(
                        expression.span(),
                        "a consumer takes from one queue, the first one here",
                    ));
                }
            }
        }
        Ok(())
    })?;
    let Some(queue) = queue else {
        return Ok(none_of("consumer", start, before, problems));
    };
    Ok(Some(Kind::Consumer(Consumer {
        queue,
        autoack,
        options: Options {
            period: None,
            setters,
        },
    })))
}

fn consumer_setter(name: &Ident, input: ParseStream<'_>) -> syn::Result<TokenStream> {
    const KNOWN: [&str; 8] = [
        "timeout",
        "concurrency",
        "prefetch",
        "autoack",
        "retry(…)",
        "dead_letter",
        "max_crashes",
        "driver(…)",
    ];
    match name.to_string().as_str() {
        "timeout" => Ok(duration_setter(name, DurationValue::positive(input)?)),
        "concurrency" | "prefetch" | "max_crashes" => {
            Ok(count_setter(name, CountValue::at_least(1, input)?))
        }
        "dead_letter" => dead_letter(input),
        "retry" => Err(syn::Error::new(
            name.span(),
            "write `retry(1, 4, 9)`: the delays before each retry",
        )),
        "driver" => Err(syn::Error::new(
            name.span(),
            "write `driver(name = \"value\")`",
        )),
        _ => Err(unknown(name, "consumer", &KNOWN)),
    }
}

fn dead_letter(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let name = text("the name of a queue, or `none`", input)?;
    if name.value() == "none" {
        return Ok(quote!(.dead_letter(::microagent::__private::DeadLetter::None)));
    }
    let value = name.value();
    let declared = value.strip_suffix(".dead").unwrap_or(&value);
    microagent_schema::names::check_queue(declared)
        .map_err(|error| syn::Error::new(name.span(), error))?;
    Ok(quote!(.dead_letter(::microagent::__private::DeadLetter::Queue(#name.into()))))
}

fn retry(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let inside;
    parenthesized!(inside in input);
    let delays = inside.parse_terminated(<DurationValue as syn::parse::Parse>::parse, Token![,])?;
    let delays = delays.iter().map(|delay| &delay.0);
    Ok(quote!(.retry(::microagent::__private::RetryPolicy::after([#(#delays),*]))))
}

fn driver(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let inside;
    parenthesized!(inside in input);
    let mut setters = TokenStream::new();
    while !inside.is_empty() {
        let name: Ident = inside.parse()?;
        inside.parse::<Token![=]>()?;
        let value: syn::Lit = inside.parse()?;
        let (name, value) = (name.to_string(), literal_text(&value)?);
        setters.extend(quote!(.native(#name, #value)));
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(setters)
}

fn literal_text(value: &syn::Lit) -> syn::Result<String> {
    match value {
        syn::Lit::Str(text) => Ok(text.value()),
        syn::Lit::Int(number) => Ok(number.base10_digits().to_owned()),
        syn::Lit::Float(number) => Ok(number.base10_digits().to_owned()),
        syn::Lit::Bool(value) => Ok(value.value.to_string()),
        other => Err(syn::Error::new(
            other.span(),
            "a text, a number or a boolean is allowed",
        )),
    }
}

fn periodic(input: ParseStream<'_>, problems: &mut Problems) -> syn::Result<Option<Kind>> {
    const KNOWN: [&str; 4] = ["period", "timeout", "start_after", "overlap"];
    let before = problems.count();
    let (start, mut period, mut setters) = (input.span(), None, TokenStream::new());
    parts(input, &[], problems, |part, input| {
        let setter = match part {
            Part::Value(name) => match name.to_string().as_str() {
                "period" => return set_period(&mut period, input),
                "timeout" => duration_setter(name, DurationValue::positive(input)?),
                "start_after" => duration_setter(name, input.parse()?),
                "overlap" => overlap(input)?,
                _ => return Err(unknown(name, "periodic", &KNOWN)),
            },
            _ => return set_period(&mut period, input),
        };
        setters.extend(setter);
        Ok(())
    })?;
    if period.is_none() {
        return Ok(none_of("periodic", start, before, problems));
    }
    Ok(Some(Kind::Periodic(Options { period, setters })))
}

fn set_period(period: &mut Option<TokenStream>, input: ParseStream<'_>) -> syn::Result<()> {
    let span = input.span();
    let value = DurationValue::positive(input)?;
    match period.replace(value.0) {
        Some(_) => Err(syn::Error::new(span, "a second period")),
        None => Ok(()),
    }
}

fn cron(input: ParseStream<'_>, problems: &mut Problems) -> syn::Result<Option<Kind>> {
    const KNOWN: [&str; 3] = ["timeout", "tz", "overlap"];
    let before = problems.count();
    let (start, mut spec, mut setters) = (input.span(), None, TokenStream::new());
    parts(input, &[], problems, |part, input| {
        let setter = match part {
            Part::Value(name) => match name.to_string().as_str() {
                "timeout" => duration_setter(name, DurationValue::positive(input)?),
                "tz" => {
                    let zone = text("the name of a time zone, such as `Europe/Berlin`,", input)?;
                    quote!(.tz(#zone))
                }
                "overlap" => overlap(input)?,
                _ => return Err(unknown(name, "cron", &KNOWN)),
            },
            _ => {
                let schedule = text("a schedule of five fields, such as `0 */4 * * *`,", input)?;
                microagent_schema::CronSpec::parse(&schedule.value())
                    .map_err(|error| syn::Error::new(schedule.span(), error))?;
                spec = Some(schedule);
                return Ok(());
            }
        };
        setters.extend(setter);
        Ok(())
    })?;
    let Some(spec) = spec else {
        return Ok(none_of("cron", start, before, problems));
    };
    Ok(Some(Kind::Cron(
        spec,
        Options {
            period: None,
            setters,
        },
    )))
}

fn overlap(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    Ok(match word(&["allow", "skip", "queue"], input)?.as_str() {
        "skip" => quote!(.overlap(::microagent::__private::Overlap::Skip)),
        "queue" => quote!(.overlap(::microagent::__private::Overlap::Queue)),
        _ => quote!(.overlap(::microagent::__private::Overlap::Allow)),
    })
}

fn hook(input: ParseStream<'_>) -> syn::Result<Option<Kind>> {
    let name: Ident = input.parse()?;
    let said = name.to_string();
    let Some((_, hook)) = HOOKS.iter().find(|(known, _)| *known == said) else {
        let message = format!(
            "there is no hook `{said}`; {}",
            allowed(&said, &HOOKS.map(|(name, _)| name))
        );
        return Err(syn::Error::new(name.span(), message));
    };
    match input.is_empty() {
        true => Ok(Some(Kind::Hook(*hook))),
        false => Err(input.error(format!("`#[on({said})]` has no options"))),
    }
}

fn duration_setter(name: &Ident, value: DurationValue) -> TokenStream {
    let value = value.0;
    quote!(.#name(#value))
}

fn count_setter(name: &Ident, value: CountValue) -> TokenStream {
    let value = value.0;
    quote!(.#name(#value))
}
