//! Option values in parentheses: `retry(1, 4, 9)`, `driver(name = value)`,
//! `once(crashed = run)`.

use microagent_schema::{Words, suggest};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use serde_json::{Map, Value as Json};
use syn::{
    Error, Expr, Result, Token, ext::IdentExt, parse::ParseStream, parse::Parser,
    punctuated::Punctuated,
};

use crate::agent::values::{Read, Value};

/// `retry(1, 4, 9)`
pub(super) fn times(name: &Ident, inside: TokenStream) -> Result<Read> {
    let delays = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(inside)?;
    let read: Vec<_> = delays
        .into_iter()
        .map(|delay| Value::from(name, delay).time())
        .collect::<Result<_>>()?;
    let delays = read.iter().flat_map(|read| &read.arguments);
    let policy = quote!(::microagent::__private::RetryPolicy::after([#(#delays),*]));
    Ok(Read {
        arguments: vec![policy],
        known: read.iter().map(|read| read.known.clone()).collect(),
    })
}

/// `driver(name = value)`
pub(super) fn texts(_: &Ident, inside: TokenStream) -> Result<Read> {
    let (mut arguments, mut known) = (Vec::new(), Map::new());
    for (name, value) in pairs.parse2(inside)? {
        let key = name.unraw().to_string();
        let text = value.driver_text()?;
        arguments.push(quote!(#key, #text));
        insert(&mut known, &name, Json::String(text))?;
    }
    Ok(Read {
        arguments,
        known: Some(Json::Object(known)),
    })
}

/// `once(crashed = run, unavailable = skip)`
pub(super) fn choices(of: &str, choices: &[(&str, Words)], inside: TokenStream) -> Result<Read> {
    let (mut setters, mut known) = (TokenStream::new(), Map::new());
    for (name, value) in pairs.parse2(inside)? {
        let choice_name = name.to_string();
        let Some((_, words)) = choices.iter().find(|(choice, _)| *choice == choice_name) else {
            let names = choices.iter().map(|(choice, _)| *choice);
            return Err(Error::new(
                name.span(),
                suggest::unknown("option", &choice_name, names),
            ));
        };
        let Read {
            arguments,
            known: word,
        } = value.word(*words)?;
        setters.extend(quote!(#(.#name(#arguments))*));
        insert(&mut known, &name, word.unwrap_or_default())?;
    }
    let of = format_ident!("{of}");
    Ok(Read {
        arguments: vec![quote!(::microagent::__private::#of::default() #setters)],
        known: Some(Json::Object(known)),
    })
}

fn pairs(inside: ParseStream<'_>) -> Result<Vec<(Ident, Value)>> {
    let mut pairs = Vec::new();
    while !inside.is_empty() {
        let name = Ident::parse_any(inside)?;
        inside.parse::<Token![=]>()?;
        let value = Value::of(&name, inside)?;
        pairs.push((name, value));
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(pairs)
}

fn insert(known: &mut Map<String, Json>, name: &Ident, value: Json) -> Result<()> {
    match known.insert(name.unraw().to_string(), value) {
        None => Ok(()),
        Some(_) => Err(Error::new(
            name.span(),
            format!("duplicate option `{name}`"),
        )),
    }
}
