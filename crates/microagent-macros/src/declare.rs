//! `declare!("signals.json")`: the deployment's file as types.

use std::{env, fs, path::Path};

use microagent_schema::{
    ArgumentDeclaration, Declarations, JsonType, QueueDeclaration, SignalDeclaration,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::LitStr;

use crate::field::{rust_name, type_name};

/// Expands the macro.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    read(input).unwrap_or_else(syn::Error::into_compile_error)
}

fn read(input: TokenStream) -> syn::Result<TokenStream> {
    let usage = "the path of a `signals.json` from the crate's root is allowed: `declare!(\"signals.json\")`";
    let given: LitStr = syn::parse2(input).map_err(|error| syn::Error::new(error.span(), usage))?;
    let refused = |error: &dyn std::fmt::Display| {
        syn::Error::new(given.span(), format!("`{}`: {error}", given.value()))
    };
    let root = env::var("CARGO_MANIFEST_DIR").map_err(|error| refused(&error))?;
    let path = Path::new(&root).join(given.value());
    let text = fs::read_to_string(&path).map_err(|error| refused(&format!("{error}; {usage}")))?;
    let declared = Declarations::parse(&text).map_err(|error| refused(&error))?;
    Ok(modules(&declared, &path.to_string_lossy(), given.span()))
}

fn modules(declared: &Declarations, path: &str, span: Span) -> TokenStream {
    let signals = declared
        .signals
        .iter()
        .map(|signal| signal_type(signal, declared.default_prefix.as_deref(), span));
    let queues = declared
        .queues
        .iter()
        .map(|queue| queue_constant(queue, span));
    quote! {
        // A change of the file compiles the crate anew.
        const _: &[u8] = include_bytes!(#path);

        /// The signals of the deployment.
        pub mod signals {
            #(#signals)*
        }

        /// The queues of the deployment.
        pub mod queues {
            #(#queues)*
        }
    }
}

fn signal_type(signal: &SignalDeclaration, prefix: Option<&str>, span: Span) -> TokenStream {
    let (ident, name) = (Ident::new(&type_name(&signal.name), span), &signal.name);
    let fields = signal
        .arguments
        .iter()
        .map(|argument| field(argument, span));
    let declaration = declaration(signal);
    let doc = format!("The signal `{name}`.");
    let prefix = match prefix {
        Some(prefix) => quote!(::core::option::Option::Some(#prefix)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug, PartialEq, ::microagent::__private::serde::Serialize, ::microagent::__private::serde::Deserialize)]
        #[serde(crate = "::microagent::__private::serde")]
        pub struct #ident {
            #(#fields)*
        }

        #[automatically_derived]
        impl ::microagent::__private::Signal for #ident {
            const NAME: &'static str = #name;
            const PREFIX: ::core::option::Option<&'static str> = #prefix;

            fn declaration() -> &'static ::microagent::__private::SignalDeclaration {
                static DECLARED: ::microagent::__private::LazyLock<::microagent::__private::SignalDeclaration> =
                    ::microagent::__private::LazyLock::new(|| #declaration);
                &DECLARED
            }
        }
    }
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

/// The Rust type of a JSON type; `["x", "null"]` is an `Option`, other unions and what is undeclared are any value.
fn field_type(types: &[JsonType]) -> TokenStream {
    let one = |json: JsonType| match json {
        JsonType::String => quote!(::std::string::String),
        JsonType::Number => quote!(::microagent::__private::serde_json::Number),
        JsonType::Boolean => quote!(bool),
        JsonType::Array => quote!(::std::vec::Vec<::microagent::__private::serde_json::Value>),
        JsonType::Object => {
            quote!(::microagent::__private::serde_json::Map<::std::string::String, ::microagent::__private::serde_json::Value>)
        }
        JsonType::Null => quote!(()),
    };
    match types {
        [single] => one(*single),
        [JsonType::Null, other] | [other, JsonType::Null] => {
            let other = one(*other);
            quote!(::core::option::Option<#other>)
        }
        _ => quote!(::microagent::__private::serde_json::Value),
    }
}

fn declaration(signal: &SignalDeclaration) -> TokenStream {
    let (name, typed) = (&signal.name, signal.typed);
    let arguments = signal.arguments.iter().map(|argument| {
        let name = &argument.name;
        let types = argument.types.iter().map(|json| match json {
            JsonType::String => quote!(String),
            JsonType::Number => quote!(Number),
            JsonType::Boolean => quote!(Boolean),
            JsonType::Array => quote!(Array),
            JsonType::Object => quote!(Object),
            JsonType::Null => quote!(Null),
        });
        quote! {
            ::microagent::__private::ArgumentDeclaration {
                name: ::std::string::String::from(#name),
                types: ::std::vec![#(::microagent::__private::JsonType::#types),*],
            }
        }
    });
    quote! {
        ::microagent::__private::SignalDeclaration {
            name: ::std::string::String::from(#name),
            arguments: ::std::vec![#(#arguments),*],
            typed: #typed,
        }
    }
}

fn queue_constant(queue: &QueueDeclaration, span: Span) -> TokenStream {
    let (ident, name) = (
        Ident::new(&queue.name.to_ascii_uppercase(), span),
        &queue.name,
    );
    let exchange = queue
        .exchange
        .as_ref()
        .map(|exchange| quote!(.with_exchange(#exchange)));
    let topics = &queue.topics;
    let topics = (!topics.is_empty())
        .then(|| quote!(.with_topics(&[#(::std::borrow::Cow::Borrowed(#topics)),*])));
    let doc = format!("The queue `{name}`.");
    quote! {
        #[doc = #doc]
        pub const #ident: ::microagent::__private::Queue = ::microagent::__private::Queue::new(#name) #exchange #topics;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_named_with_the_place_and_what_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals.json");
        let broken = r#"{"signals": [{"name": "User", "providing_args": []}], "queues": [{"name": "mailer"}, {"name": "mailer"}]}"#;
        fs::write(&path, broken).unwrap();
        let path = path.to_str().unwrap();

        let message = read(quote!(#path)).unwrap_err().to_string();
        for part in [
            path,
            "signals[0].name: `User` is no signal name",
            "queues[1]: `mailer` is declared by queues[0] already",
        ] {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
    }
}
