//! `#[derive(Signal)]`: a signal declared in code.

mod json_types;
mod serde_options;

use microagent_schema::{ArgumentDeclaration, SignalDeclaration, names, suggest};
use proc_macro2::{Span, TokenStream};
use syn::{Data, DeriveInput, Field, Fields, LitStr, meta::ParseNestedMeta};

use crate::{
    declaration,
    field::{snake_case, wire_name},
    problems::{Problems, shown},
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
    let signal = SignalDeclaration {
        name: named.name,
        arguments,
        typed: true,
    };
    declaration::implementation(&input.ident, &signal, named.prefix.as_deref())
}

/// The name of the signal.
struct Named {
    name: String,
    /// The source of the name.
    span: Span,
    prefix: Option<String>,
}

impl Named {
    fn of(input: &DeriveInput, problems: &mut Problems) -> Self {
        let mut named = Self {
            name: snake_case(&input.ident.to_string()),
            span: input.ident.span(),
            prefix: None,
        };
        for attribute in &input.attrs {
            if attribute.path().is_ident("signal") {
                problems.keep(attribute.parse_nested_meta(|option| named.set(&option)));
            }
        }
        if let Err(error) = names::check_signal(&named.name) {
            problems.at_span(named.span, error);
        }
        named
    }

    fn set(&mut self, option: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if option.path.is_ident("name") {
            let name: LitStr = option.value()?.parse()?;
            (self.name, self.span) = (name.value(), name.span());
        } else if option.path.is_ident("prefix") {
            let prefix: LitStr = option.value()?.parse()?;
            names::check_prefix(&prefix.value())
                .map_err(|error| syn::Error::new(prefix.span(), error))?;
            self.prefix = Some(prefix.value());
        } else {
            let name = shown(&option.path);
            let message = suggest::unknown("option of `#[signal]`", &name, ["name", "prefix"]);
            return Err(option.error(message));
        }
        Ok(())
    }
}

fn arguments(input: &DeriveInput, problems: &mut Problems) -> Vec<ArgumentDeclaration> {
    if !input.generics.params.is_empty() {
        problems.at(
            &input.generics,
            "a signal has no generic parameters: its name stands for one structure",
        );
    }
    serde_options::check_struct(&input.attrs, problems);
    let Data::Struct(data) = &input.data else {
        problems.at(
            &input.ident,
            "a signal is a struct with named fields: they are its arguments",
        );
        return Vec::new();
    };
    let Fields::Named(fields) = &data.fields else {
        problems.at(&input.ident, "a signal's fields have names: they are its arguments; without any, write `struct Started {}`");
        return Vec::new();
    };
    fields
        .named
        .iter()
        .filter_map(|field| argument(field, problems))
        .collect()
}

fn argument(field: &Field, problems: &mut Problems) -> Option<ArgumentDeclaration> {
    let name = wire_name(field.ident.as_ref()?);
    if let Err(error) = names::check_argument(&name) {
        problems.at(&field.ident, error);
    }
    let by_type = serde_options::check_field(&field.attrs, &name, problems);
    let types = if by_type {
        json_types::of(&field.ty)
    } else {
        Vec::new()
    };
    Some(ArgumentDeclaration { name, types })
}
