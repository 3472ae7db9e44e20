//! The value of an option in an attribute: its tokens, and the value as settings would write it. The forms, and the
//! errors about invalid values, come from `microagent-schema`.

use std::fmt::Display;

use microagent_schema::{Form, Words, parse_duration, suggest};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use serde_json::Value as Json;
use syn::{Error, Expr, ExprLit, Lit, LitBool, LitStr, Result, UnOp, parse::ParseStream};

/// The value of an option, not yet understood.
pub(super) struct Value {
    option: String,
    expression: Expr,
}

/// A value that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The arguments of the option's setter, once for each call of it.
    pub(super) arguments: Vec<TokenStream>,
    /// The value as settings would write it; none for an expression.
    pub(super) known: Option<Json>,
}

impl Read {
    fn of(argument: impl ToTokens, known: impl Into<Json>) -> Self {
        Self {
            arguments: vec![argument.to_token_stream()],
            known: Some(known.into()),
        }
    }

    fn expression(expression: &Expr) -> Self {
        Self {
            arguments: vec![expression.to_token_stream()],
            known: None,
        }
    }
}

impl Value {
    /// Reads the value of the option of this name.
    pub(super) fn of(option: impl Display, input: ParseStream<'_>) -> Result<Self> {
        Ok(Self::from(option, input.parse()?))
    }

    pub(super) fn from(option: impl Display, expression: Expr) -> Self {
        Self {
            option: option.to_string(),
            expression,
        }
    }

    /// Returns the value of an option that its name alone switches on.
    pub(super) fn switched_on(option: &Ident) -> Self {
        let lit = Lit::Bool(LitBool::new(true, option.span()));
        let attrs = Vec::new();
        Self::from(option, Expr::Lit(ExprLit { attrs, lit }))
    }

    /// Returns the tokens of the value.
    pub(super) fn place(&self) -> TokenStream {
        self.expression.to_token_stream()
    }

    /// Returns an error at the place of the value, with the name of its option.
    pub(super) fn refused(&self, reason: impl Display) -> Error {
        let option = &self.option;
        Error::new_spanned(&self.expression, format!("`{option}`: {reason}"))
    }

    /// Reads a value that is not in parentheses.
    pub(super) fn read(&self, form: Form) -> Result<Read> {
        match form {
            Form::Time => self.time(),
            Form::Count => self.count(),
            Form::Flag => self.flag(),
            Form::Word(words) => self.word(words),
            Form::Text(_) => match self.text() {
                Some(text) => Ok(Read::of(text, text.value())),
                None => Err(self.refused(form.expected())),
            },
            Form::Choices { of, .. } => self.switch(of),
            other => Err(self.refused(other.expected())),
        }
    }

    /// Reads seconds as a number, text with a unit, or any expression of type `Duration`.
    pub(super) fn time(&self) -> Result<Read> {
        let Some(text) = self.time_text()? else {
            return Ok(Read::expression(&self.expression));
        };
        let duration = parse_duration(&text).map_err(|error| self.refused(error))?;
        let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
        let tokens = quote!(::microagent::__private::Duration::new(#seconds, #nanos));
        Ok(Read::of(tokens, text))
    }

    /// Returns the text of a literal duration; `None` for an expression.
    fn time_text(&self) -> Result<Option<String>> {
        let Some((sign, literal)) = self.literal() else {
            return Ok(None);
        };
        let (digits, unit) = match literal {
            Lit::Str(text) => return Ok(Some(text.value())),
            Lit::Int(number) => (number.base10_digits(), number.suffix()),
            Lit::Float(number) => (number.base10_digits(), number.suffix()),
            _ => return Err(self.refused(Form::Time.expected())),
        };
        if unit.is_empty() {
            return Ok(Some(format!("{sign}{digits}")));
        }
        Err(self.refused(format!(
            "a number with a unit stands in quotes: `\"{digits}{unit}\"`"
        )))
    }

    /// Reads a whole number, or any expression of that type.
    fn count(&self) -> Result<Read> {
        let expression = &self.expression;
        match self.literal() {
            None => Ok(Read::expression(expression)),
            Some(("", Lit::Int(number))) => match number.base10_parse::<u64>() {
                Ok(count) => Ok(Read::of(expression, count)),
                Err(_) => Err(self.refused(Form::Count.expected())),
            },
            Some(_) => Err(self.refused(Form::Count.expected())),
        }
    }

    fn flag(&self) -> Result<Read> {
        match self.literal() {
            Some(("", Lit::Bool(flag))) => Ok(Read::of(flag, flag.value)),
            _ => Err(self.refused(Form::Flag.expected())),
        }
    }

    /// Reads `true`, which calls the setter with the default, or `false`, which does not call it.
    fn switch(&self, of: &str) -> Result<Read> {
        let mut read = self.flag()?;
        let of = format_ident!("{of}");
        read.arguments = match read.known {
            Some(Json::Bool(true)) => vec![quote!(::microagent::__private::#of::default())],
            _ => Vec::new(),
        };
        Ok(read)
    }

    /// Reads one of these words, with or without quotes.
    pub(super) fn word(&self, words: Words) -> Result<Read> {
        let word = match &self.expression {
            Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => self.text().map(LitStr::value),
        };
        let Some(word) = word else {
            return Err(self.refused(suggest::available(words.words)));
        };
        words
            .check(&word.as_str().into())
            .map_err(|error| self.refused(error))?;
        let (of, variant) = (format_ident!("{}", words.of), variant(&word));
        Ok(Read::of(
            quote!(::microagent::__private::#of::#variant),
            word,
        ))
    }

    fn text(&self) -> Option<&LitStr> {
        match &self.expression {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text),
            _ => None,
        }
    }

    /// Returns a literal and its sign.
    fn literal(&self) -> Option<(&'static str, &Lit)> {
        match &self.expression {
            Expr::Lit(ExprLit { lit, .. }) => Some(("", lit)),
            Expr::Unary(unary) => match (&unary.op, &*unary.expr) {
                (UnOp::Neg(_), Expr::Lit(ExprLit { lit, .. })) => Some(("-", lit)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the value of a driver's option, as the text that the driver reads.
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

/// Returns the variant of a word: `DropOldest` of `drop_oldest`.
fn variant(word: &str) -> Ident {
    let mut name = String::new();
    for part in word.split('_') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    format_ident!("{name}")
}
