//! `#[derive(Signal)]`: a signal declared in code.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, LitStr};

use crate::{
    field::{snake_case, wire_name},
    problems::Problems,
};

/// Expands the derive.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut problems = Problems::default();
    let named = Named::of(&input, &mut problems);
    let arguments = arguments(&input, &mut problems);
    if !problems.is_empty() {
        return problems.into_tokens();
    }
    let (ident, name) = (&input.ident, &named.name);
    let prefix = match &named.prefix {
        Some(prefix) => quote!(::core::option::Option::Some(#prefix)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        #[automatically_derived]
        impl ::microagent::__private::Signal for #ident {
            const NAME: &'static str = #name;
            const PREFIX: ::core::option::Option<&'static str> = #prefix;

            fn declaration() -> &'static ::microagent::__private::SignalDeclaration {
                static DECLARED: ::microagent::__private::LazyLock<::microagent::__private::SignalDeclaration> =
                    ::microagent::__private::LazyLock::new(|| {
                        ::microagent::__private::SignalDeclaration::untyped(#name, [#(#arguments),*])
                    });
                &DECLARED
            }
        }
    }
}

/// What the signal is called.
struct Named {
    name: String,
    prefix: Option<String>,
}

impl Named {
    fn of(input: &DeriveInput, problems: &mut Problems) -> Self {
        let mut named = Self {
            name: snake_case(&input.ident.to_string()),
            prefix: None,
        };
        let mut span = input.ident.span();
        for attribute in input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("signal"))
        {
            let read = attribute.parse_nested_meta(|option| {
                let value =
                    |option: &syn::meta::ParseNestedMeta<'_>| option.value()?.parse::<LitStr>();
                if option.path.is_ident("name") {
                    let name = value(&option)?;
                    span = name.span();
                    named.name = name.value();
                } else if option.path.is_ident("prefix") {
                    let prefix = value(&option)?;
                    microagent_schema::names::check_prefix(&prefix.value())
                        .map_err(|error| syn::Error::new(prefix.span(), error))?;
                    named.prefix = Some(prefix.value());
                } else {
                    return Err(option
                        .error("`#[signal]` has no such option; allowed are `name` and `prefix`"));
                }
                Ok(())
            });
            problems.keep(read);
        }
        if let Err(error) = microagent_schema::names::check_signal(&named.name) {
            problems.at_span(span, error);
        }
        named
    }
}

fn arguments(input: &DeriveInput, problems: &mut Problems) -> Vec<String> {
    if !input.generics.params.is_empty() {
        problems.at(
            &input.generics,
            "a signal has no generic parameters: its name stands for one structure",
        );
    }
    let Data::Struct(data) = &input.data else {
        problems.at(
            &input.ident,
            "a signal is a struct with named fields: they are its arguments",
        );
        return Vec::new();
    };
    match &data.fields {
        Fields::Named(fields) => {
            let names = fields
                .named
                .iter()
                .filter_map(|field| Some((wire_name(field.ident.as_ref()?), field)));
            names
                .map(|(name, field)| {
                    if let Err(error) = microagent_schema::names::check_argument(&name) {
                        problems.at(&field.ident, error);
                    }
                    name
                })
                .collect()
        }
        _ => {
            problems.at(&input.ident, "a signal's fields have names: they are its arguments; without any, write `struct Started {}`");
            Vec::new()
        }
    }
}
