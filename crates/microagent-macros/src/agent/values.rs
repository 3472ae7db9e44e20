//! The value of an option: a duration, a count, a word, a text. Each error names the option and what is allowed.

use std::{fmt::Display, time::Duration};

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result, parse::ParseStream};

use crate::problems::allowed;

/// What an option of time may be, for messages.
const DURATIONS: &str = "seconds (`30`, `0.5`), text with a unit (`\"1500ms\"`, `\"2m\"`) or an expression of type `Duration` are allowed";

/// The value of an option, not yet understood.
pub(super) struct Value {
    option: String,
    expression: Expr,
}

/// A count, and how much it is where that is known before it is compiled.
pub(super) struct Count {
    pub(super) tokens: TokenStream,
    pub(super) known: Option<u64>,
}

impl Value {
    /// Reads what the option of this name is set to.
    pub(super) fn of(option: impl Display, input: ParseStream<'_>) -> Result<Self> {
        Ok(Self::from(option, input.parse()?))
    }

    pub(super) fn from(option: impl Display, expression: Expr) -> Self {
        Self {
            option: option.to_string(),
            expression,
        }
    }

    pub(super) fn expression(self) -> Expr {
        self.expression
    }

    /// An error that stands at the value and names its option.
    pub(super) fn refused(&self, reason: impl Display) -> Error {
        let option = &self.option;
        Error::new_spanned(&self.expression, format!("`{option}`: {reason}"))
    }

    /// Seconds as a number, text with a unit, or any expression of type `Duration`.
    pub(super) fn duration(&self) -> Result<TokenStream> {
        let expression = &self.expression;
        let Some(text) = self.duration_text()? else {
            return Ok(quote!(#expression));
        };
        let duration =
            microagent_schema::parse_duration(&text).map_err(|error| self.refused(error))?;
        let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
        Ok(quote!(::microagent::__private::Duration::new(#seconds, #nanos)))
    }

    /// A duration that is longer than nothing.
    pub(super) fn positive_duration(&self) -> Result<TokenStream> {
        let text = self.duration_text()?;
        match text.map(|text| microagent_schema::parse_duration(&text)) {
            Some(Ok(Duration::ZERO)) => Err(self.refused("it must be longer than 0")),
            _ => self.duration(),
        }
    }

    /// The duration, where it is written down and right.
    pub(super) fn known_duration(&self) -> Option<Duration> {
        let text = self.duration_text().ok().flatten()?;
        microagent_schema::parse_duration(&text).ok()
    }

    /// The text of a duration that is written down; none for an expression.
    fn duration_text(&self) -> Result<Option<String>> {
        match &self.expression {
            Expr::Lit(ExprLit { lit, .. }) => self.duration_literal(lit).map(Some),
            Expr::Unary(_) => Err(self.refused(format!("this is no duration; {DURATIONS}"))),
            _ => Ok(None),
        }
    }

    fn duration_literal(&self, literal: &Lit) -> Result<String> {
        let (digits, unit) = match literal {
            Lit::Str(text) => return Ok(text.value()),
            Lit::Int(number) => (number.base10_digits(), number.suffix()),
            Lit::Float(number) => (number.base10_digits(), number.suffix()),
            _ => return Err(self.refused(format!("this is no duration; {DURATIONS}"))),
        };
        if unit.is_empty() {
            return Ok(digits.to_owned());
        }
        Err(self.refused(format!(
            "a number with a unit stands in quotes: `\"{digits}{unit}\"`"
        )))
    }

    /// A whole number that is not below `least`, or any expression of type `usize`.
    pub(super) fn count(&self, least: u64) -> Result<Count> {
        let expression = &self.expression;
        let known = match expression {
            Expr::Lit(ExprLit {
                lit: Lit::Int(number),
                ..
            }) => number
                .base10_parse::<u64>()
                .ok()
                .filter(|count| *count >= least),
            Expr::Lit(_) | Expr::Unary(_) => None,
            _ => {
                return Ok(Count {
                    tokens: quote!(#expression),
                    known: None,
                });
            }
        };
        match known {
            Some(count) => Ok(Count {
                tokens: quote!(#expression),
                known: Some(count),
            }),
            None => Err(self.refused(format!("a whole number of at least {least} is allowed"))),
        }
    }

    /// One of these words, with or without quotes.
    pub(super) fn word(&self, known: &[&str]) -> Result<String> {
        let said = match &self.expression {
            Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        };
        match said {
            Some(said) if known.contains(&said.as_str()) => Ok(said),
            Some(said) => {
                Err(self.refused(format!("there is no `{said}`; {}", allowed(&said, known))))
            }
            None => Err(self.refused(allowed("", known))),
        }
    }

    /// A text in quotes; `what` it says is for the message.
    pub(super) fn text(&self, what: &str) -> Result<LitStr> {
        match &self.expression {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Ok(text.clone()),
            _ => Err(self.refused(format!("{what} is allowed, as a text in quotes"))),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        match &self.expression {
            Expr::Lit(ExprLit {
                lit: Lit::Bool(value),
                ..
            }) => Ok(value.value),
            _ => Err(self.refused("`true` and `false` are allowed")),
        }
    }

    /// What a driver's option is set to, as the text that the driver reads.
    pub(super) fn driver_text(&self) -> Result<String> {
        let literal = match &self.expression {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        };
        match literal {
            Some(Lit::Str(text)) => Ok(text.value()),
            Some(Lit::Int(number)) => Ok(number.base10_digits().to_owned()),
            Some(Lit::Float(number)) => Ok(number.base10_digits().to_owned()),
            Some(Lit::Bool(value)) => Ok(value.value.to_string()),
            _ => Err(self.refused("a text, a number, `true` or `false` is allowed")),
        }
    }
}
