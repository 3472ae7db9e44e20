//! All errors in the user's code, collected to be reported together.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// The errors so far.
#[derive(Default)]
pub(crate) struct Problems(Option<Error>);

impl Problems {
    /// Adds an error at these tokens.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// Adds an error at this place.
    pub(crate) fn at_span(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add(Error::new(span, message));
    }

    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// Returns the value of a valid part, or adds the error of an invalid one.
    pub(crate) fn keep<T>(&mut self, part: syn::Result<T>) -> Option<T> {
        part.map_err(|error| self.add(error)).ok()
    }

    /// Returns the number of errors, to see whether a part added some.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().flat_map(Clone::clone).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// Returns tokens with the usual spaces.
pub(crate) fn shown(tokens: &impl ToTokens) -> String {
    let mut shown = tokens.to_token_stream().to_string();
    for (spaced, written) in [
        ("& ", "&"),
        (" < ", "<"),
        (" >", ">"),
        (" :: ", "::"),
        (" ,", ","),
    ] {
        shown = shown.replace(spaced, written);
    }
    shown
}
