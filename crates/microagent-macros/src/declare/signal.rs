//! A declared signal as a struct.

use std::collections::HashMap;

use microagent_schema::{ArgumentDeclaration, JsonType, SignalDeclaration};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::{
    declaration,
    field::{rust_name, type_name},
};

/// Returns the struct of a signal; its name is the signal's in camel case.
pub(super) fn structure(
    signal: &SignalDeclaration,
    prefix: Option<&str>,
    span: Span,
) -> TokenStream {
    let (ident, name) = (Ident::new(&type_name(&signal.name), span), &signal.name);
    let fields = signal
        .arguments
        .iter()
        .map(|argument| field(argument, span));
    let implementation = declaration::implementation(&ident, signal, prefix);
    let doc = format!("The signal `{name}`.");
    quote! {
        #[doc = #doc]
        #[derive(
            ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq,
            ::microagent::__private::serde::Serialize, ::microagent::__private::serde::Deserialize,
        )]
        #[serde(crate = "::microagent::__private::serde")]
        #[allow(non_snake_case, reason = "arguments are named by the file")]
        pub struct #ident {
            #(#fields)*
        }

        #implementation
    }
}

/// Returns the signals that no type can be named after, each with the reason.
pub(super) fn unnameable(signals: &[SignalDeclaration]) -> Vec<String> {
    let (mut first, mut found) = (HashMap::new(), Vec::new());
    for SignalDeclaration { name, .. } in signals {
        let of = type_name(name);
        if of == "Self" {
            found.push(format!(
                "signal `{name}` would be the type `Self`, which Rust has taken"
            ));
        }
        if let Some(other) = first.insert(of.clone(), name) {
            found.push(format!(
                "signals `{other}` and `{name}` would both be the type `{of}`"
            ));
        }
    }
    found
}

fn field(argument: &ArgumentDeclaration, span: Span) -> TokenStream {
    let (ident, name) = (rust_name(&argument.name, span), &argument.name);
    let doc = format!("The argument `{name}`.");
    let of = field_type(&argument.types);
    quote! {
        #[doc = #doc]
        pub #ident: #of,
    }
}

/// Returns the Rust type of a JSON type; `["x", "null"]` is an `Option`, other unions and what is undeclared are any value.
fn field_type(types: &[JsonType]) -> TokenStream {
    match types {
        [one] => type_of(*one),
        [JsonType::Null, other] | [other, JsonType::Null] => {
            let other = type_of(*other);
            quote!(::core::option::Option<#other>)
        }
        _ => quote!(::microagent::__private::serde_json::Value),
    }
}

fn type_of(json: JsonType) -> TokenStream {
    let value = quote!(::microagent::__private::serde_json::Value);
    match json {
        JsonType::String => quote!(::std::string::String),
        JsonType::Number => quote!(::microagent::__private::Number),
        JsonType::Boolean => quote!(bool),
        JsonType::Array => quote!(::std::vec::Vec<#value>),
        JsonType::Object => {
            quote!(::microagent::__private::serde_json::Map<::std::string::String, #value>)
        }
        JsonType::Null => value,
    }
}
