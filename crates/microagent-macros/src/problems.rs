//! Everything that is wrong with the user's code, collected to be said at once.

use microagent_schema::suggest::nearest;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Problems(Option<Error>);

impl Problems {
    /// Adds an error that stands at these tokens.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// Adds an error that stands at this place.
    pub(crate) fn at_span(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add(Error::new(span, message));
    }

    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// The value of a part that could be read; what could not is added.
    pub(crate) fn keep<T>(&mut self, part: syn::Result<T>) -> Option<T> {
        part.map_err(|error| self.add(error)).ok()
    }

    /// How many there are, to know whether a part added some.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().flat_map(|error| error.clone()).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// What is allowed instead of a name that is unknown, the nearest first.
pub(crate) fn allowed(unknown: &str, known: &[&str]) -> String {
    let list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let list = list.join(", ");
    match synonym(unknown, known).or_else(|| nearest(unknown, known)) {
        Some(name) => format!("did you mean `{name}`? allowed are {list}"),
        None => format!("allowed are {list}"),
    }
}

/// What other libraries call our options.
const SYNONYMS: &[(&str, &str)] = &[
    ("backoff", "retry(…)"),
    ("delay", "start_after"),
    ("dlq", "dead_letter"),
    ("every", "period"),
    ("interval", "period"),
    ("max_retries", "retry(…)"),
    ("retries", "retry(…)"),
    ("time_zone", "tz"),
    ("timezone", "tz"),
    ("workers", "concurrency"),
    ("zone", "tz"),
];

fn synonym<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let (_, ours) = SYNONYMS.iter().find(|(theirs, _)| *theirs == unknown)?;
    known.iter().copied().find(|name| name == ours)
}

/// Tokens as people write them.
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

#[cfg(test)]
mod tests {
    use super::*;

    const CRON: [&str; 4] = ["timeout", "tz", "retry(…)", "on_error"];

    fn meant(unknown: &str) -> Option<String> {
        let said = allowed(unknown, &CRON);
        let (meant, _) = said.strip_prefix("did you mean `")?.split_once('`')?;
        Some(meant.to_owned())
    }

    #[test]
    fn a_slip_and_a_synonym_are_understood() {
        for (unknown, known) in [
            ("timout", "timeout"),
            ("time_out", "timeout"),
            ("timezone", "tz"),
            ("zone", "tz"),
            ("tx", "tz"),
            ("onerror", "on_error"),
            ("backoff", "retry(…)"),
        ] {
            assert_eq!(meant(unknown).as_deref(), Some(known), "{unknown}");
        }
    }

    #[test]
    fn what_is_not_near_is_not_guessed() {
        // `workers` is a synonym of what is no option here.
        for unknown in ["priority", "times", "workers", "x"] {
            assert_eq!(meant(unknown), None, "{unknown}");
        }
    }
}
