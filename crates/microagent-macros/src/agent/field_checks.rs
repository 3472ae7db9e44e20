//! The checks of a receiver's parameters against the fields of its signal.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Path, Type, spanned::Spanned};

use super::{
    parameters::{Gets, Parameter},
    parse::Handler,
};
use crate::field::wire_name;

/// Returns items that name the signal's fields and compare their types, at the places of the parameters.
pub(super) fn field_checks(handler: &Handler, signal: &Path) -> TokenStream {
    let checks = handler.parameters.iter().filter_map(|parameter| {
        let Gets::Field { name, of, optional } = &parameter.gets else {
            return None;
        };
        // A misspelt name is the compiler's error, with the fields that there are.
        let named = quote_spanned!(name.span()=> const _: fn(#signal) = |signal| { let _ = &signal.#name; };);
        let typed = type_check(parameter, signal, &wire_name(name), of, *optional);
        Some(quote!(#named #typed))
    });
    quote!(#(#checks)*)
}

/// Returns the comparison of the parameter's type with the declared one.
fn type_check(
    parameter: &Parameter,
    signal: &Path,
    name: &str,
    of: &Type,
    optional: bool,
) -> Option<TokenStream> {
    // A constant inside of a function cannot name `Self`.
    if names_self(signal.to_token_stream()) || names_self(of.to_token_stream()) {
        return None;
    }
    let check = quote_spanned! {parameter.written.ty.span()=>
        ::microagent::__private::check_argument(
            <#signal>::__ARGUMENT_TYPES, #name, ::microagent::__private::Reads::<#of>::JSON, #optional,
        )
    };
    Some(quote! {
        const _: () = {
            #[allow(unused_imports, reason = "only types without a constant of their own use them")]
            use ::microagent::__private::{ReadsUnknown as _, UnknownArgumentTypes as _};
            #check
        };
    })
}

fn names_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == "Self",
        TokenTree::Group(group) => names_self(group.stream()),
        _ => false,
    })
}
