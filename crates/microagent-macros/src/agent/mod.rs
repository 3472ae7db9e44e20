//! `#[agent]`: from an `impl` block to the same block and its table of handlers.

mod check;
mod expand;
mod field_checks;
mod options;
mod parameters;
mod parse;
mod values;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::problems::Problems;

/// The attributes that make a method a handler.
const HANDLERS: [&str; 5] = ["receiver", "consumer", "periodic", "cron", "on"];

/// Expands `#[agent]`.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut problems = Problems::default();
    if !options.is_empty() {
        problems.at(
            &options,
            "`#[agent]` takes no options; those of a handler stand in its own attribute",
        );
    }
    let mut block: ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            let message = "`#[agent]` goes on the `impl` block that holds the handlers: `#[agent] impl MyAgent { … }`";
            let error = syn::Error::new(error.span(), message).into_compile_error();
            return quote!(#error #item);
        }
    };
    let agent = parse::agent(&mut block, &mut problems);
    check::agent(&agent, &mut problems);
    let table = if problems.is_empty() {
        expand::table(&agent)
    } else {
        // So that the rest of the crate is not told that there is no such agent.
        expand::placeholder(&agent)
    };
    let problems = problems.into_tokens();
    quote!(#problems #block #table)
}

/// Expands a handler's attribute that no `#[agent]` has taken.
pub(crate) fn outside(attribute: &str, item: TokenStream) -> TokenStream {
    let message = format!(
        "`#[{attribute}]` has no effect here: it belongs on a method of an `impl` block under `#[agent]`"
    );
    let error = syn::Error::new(proc_macro2::Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}
