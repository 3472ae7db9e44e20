//! `declare!("signals.json")`: generates types from the file of a deployment.

mod queue;
mod signal;

use std::{env, fs, path::Path};

use microagent_schema::Declarations;
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::LitStr;

use crate::problems::Problems;

/// Expands the macro.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut problems = Problems::default();
    let modules = read(input, &mut problems);
    if problems.is_empty() {
        modules.unwrap_or_default()
    } else {
        problems.into_tokens()
    }
}

fn read(input: TokenStream, problems: &mut Problems) -> Option<TokenStream> {
    let usage = "the path of a `signals.json` from the crate's root is allowed: `declare!(\"signals.json\")`";
    let given: LitStr = match syn::parse2(input) {
        Ok(given) => given,
        Err(error) => {
            problems.at_span(error.span(), usage);
            return None;
        }
    };
    let (name, span) = (given.value(), given.span());
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let path = Path::new(&root).join(&name);
    #[expect(clippy::disallowed_methods, reason = "the file that `declare!` names")]
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            problems.at_span(span, format!("`{name}`: {error}; {usage}"));
            return None;
        }
    };
    let declared = match Declarations::parse(&text) {
        Ok(declared) => declared,
        Err(error) => {
            for problem in error.problems() {
                problems.at_span(span, format!("`{name}`: {problem}"));
            }
            return None;
        }
    };
    refuse_names(&declared, &name, span, problems);
    problems
        .is_empty()
        .then(|| modules(&declared, &name, &path.to_string_lossy(), span))
}

/// Rejects names that are equal in Rust.
fn refuse_names(declared: &Declarations, file: &str, span: Span, problems: &mut Problems) {
    let types = signal::unnameable(&declared.signals);
    let constants = queue::unnameable(&declared.queues);
    for problem in types.into_iter().chain(constants) {
        problems.at_span(span, format!("`{file}`: {problem}"));
    }
}

fn modules(declared: &Declarations, file: &str, path: &str, span: Span) -> TokenStream {
    let prefix = declared.default_prefix.as_deref();
    let signals = declared
        .signals
        .iter()
        .map(|signal| signal::structure(signal, prefix, span));
    let queues = declared
        .queues
        .iter()
        .map(|queue| queue::constant(queue, span));
    let warnings = declared
        .warnings
        .iter()
        .enumerate()
        .map(|(n, text)| warning(n, file, text, span));
    quote! {
        // A change of the file recompiles the crate.
        const _: &[u8] = ::core::include_bytes!(#path);

        #(#warnings)*

        /// The signals of the deployment.
        #[allow(dead_code, unreachable_pub, reason = "the file is shared: each program uses its part of it")]
        pub mod signals {
            #(#signals)*
        }

        /// The queues of the deployment.
        #[allow(dead_code, unreachable_pub, reason = "the file is shared: each program uses its part of it")]
        pub mod queues {
            #(#queues)*
        }
    }
}

/// Turns the warnings about the file into compiler warnings. On stable Rust, a macro can only warn by the use of a
/// deprecated item.
fn warning(n: usize, file: &str, text: &str, span: Span) -> TokenStream {
    let (name, note) = (
        format_ident!("declarations_{n}"),
        format!("`{file}`: {text}"),
    );
    quote_spanned! {span=>
        const _: () = {
            #[deprecated(note = #note)]
            const fn #name() {}
            #name();
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the output for a file with this text, and its path.
    fn output_for(text: &str) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals.json");
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        (expand(quote!(#path)).to_string(), path.to_owned())
    }

    #[test]
    fn every_problem_of_a_file_is_said_with_its_place_and_what_is_allowed() {
        let broken = r#"{"signals": [{"name": "User", "providing_args": []}], "queues": [{"name": "mailer"}, {"name": "mailer"}]}"#;
        let (output, path) = output_for(broken);
        assert_eq!(output.matches("compile_error").count(), 2, "{output}");
        for part in [
            "signals[0].name: invalid signal name `User`",
            "queues[1]: `mailer` is declared by queues[0] already",
        ] {
            assert!(
                output.contains(&format!("`{path}`: {part}")),
                "`{part}` is missing: {output}"
            );
        }
    }

    #[test]
    fn a_text_that_is_no_json_is_refused_with_line_and_column() {
        let (output, _) = output_for("{\n  \"signals\": [,]\n}");
        assert!(
            output.contains("line 2, column 15: invalid JSON"),
            "{output}"
        );
    }

    #[test]
    fn names_that_rust_cannot_tell_apart_are_refused() {
        let twins = r#"{"signals": [{"name": "a_1", "providing_args": []}, {"name": "a1", "providing_args": []},
                                     {"name": "self", "providing_args": []}],
                         "queues": [{"name": "_"}]}"#;
        let (output, _) = output_for(twins);
        for part in [
            "signals `a_1` and `a1` would both be the type `A1`",
            "signal `self` would be the type `Self`, which Rust has taken",
            "queue `_` would be the constant `_`, which has no name",
        ] {
            assert!(output.contains(part), "`{part}` is missing: {output}");
        }
    }

    #[test]
    fn suspicious_declarations_are_warnings_of_the_compiler() {
        let (output, path) = output_for(r#"{"jsonlib": "ujson", "signals": [], "queues": []}"#);
        let note = format!("`{path}`: `jsonlib` names a Python module");
        assert!(
            output.contains("deprecated") && output.contains(&note),
            "{output}"
        );
    }
}
