//! The implementation of `Signal`, for `declare!` and `#[derive(Signal)]`.

use microagent_schema::{JsonType, SignalDeclaration};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

/// Implements `Signal` for a type.
pub(crate) fn implementation(
    of: &Ident,
    signal: &SignalDeclaration,
    prefix: Option<&str>,
) -> TokenStream {
    let (name, declaration) = (&signal.name, declaration(signal));
    let prefix = match prefix {
        Some(prefix) => quote!(::core::option::Option::Some(#prefix)),
        None => quote!(::core::option::Option::None),
    };
    let types = argument_types(signal);
    quote! {
        impl #of {
            #[doc(hidden)]
            #[allow(dead_code, reason = "only receivers of the signal use it")]
            pub const __ARGUMENT_TYPES: ::microagent::__private::ArgumentTypes = (#name, &[#types]);
        }

        #[automatically_derived]
        impl ::microagent::__private::Signal for #of {
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

/// Returns what `#[agent]` compares the types of parameters with.
fn argument_types(signal: &SignalDeclaration) -> TokenStream {
    let arguments = signal.arguments.iter().map(|argument| {
        let name = &argument.name;
        let types = argument.types.iter().map(|json| variant(*json));
        quote!((#name, &[#(::microagent::__private::JsonType::#types),*]),)
    });
    quote!(#(#arguments)*)
}

fn declaration(signal: &SignalDeclaration) -> TokenStream {
    let (name, typed) = (&signal.name, signal.typed);
    let arguments = signal.arguments.iter().map(|argument| {
        let name = &argument.name;
        let types = argument.types.iter().map(|json| variant(*json));
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

fn variant(json: JsonType) -> TokenStream {
    match json {
        JsonType::String => quote!(String),
        JsonType::Number => quote!(Number),
        JsonType::Boolean => quote!(Boolean),
        JsonType::Array => quote!(Array),
        JsonType::Object => quote!(Object),
        JsonType::Null => quote!(Null),
    }
}
