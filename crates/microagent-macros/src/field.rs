//! Names between JSON and Rust.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;

/// Returns the name of a field on the wire.
pub(crate) fn wire_name(field: &Ident) -> String {
    field.unraw().to_string()
}

/// Returns a Rust name for a name on the wire: keywords become raw identifiers. Declarations reject names for which that is impossible.
pub(crate) fn rust_name(wire: &str, span: Span) -> Ident {
    // A keyword since edition 2024 that the parser does not count as one; raw, it is the same name in every edition.
    match syn::parse_str::<Ident>(wire) {
        Ok(_) if wire != "gen" => Ident::new(wire, span),
        _ => Ident::new_raw(wire, span),
    }
}

/// `user_created` → `UserCreated`.
pub(crate) fn type_name(wire: &str) -> String {
    let mut name = String::with_capacity(wire.len());
    for word in wire.split('_').filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    // `_1` is a valid name of a signal, but `1` is not a valid name of a type.
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("Signal{name}")
    }
}

/// `UserCreated` → `user_created`; a run of capitals is one word, digits belong to the word before them.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_uppercase();
        let before_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase()
            && at > 0
            && letters[at - 1] != '_'
            && (after_small || before_small)
        {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (wire, rust) in [
            ("user_created", "UserCreated"),
            ("started", "Started"),
            ("v2_ready", "V2Ready"),
        ] {
            assert_eq!(type_name(wire), rust);
            assert_eq!(snake_case(rust), wire);
        }
        assert_eq!(snake_case("HTTPServerUp"), "http_server_up");
        assert_eq!(snake_case("Sha256Done"), "sha256_done");
        assert_eq!(type_name("_1"), "Signal1");
    }

    #[test]
    fn keywords_become_raw_names() {
        let span = Span::call_site();
        assert_eq!(rust_name("user_id", span), Ident::new("user_id", span));
        for keyword in ["type", "gen"] {
            assert_eq!(rust_name(keyword, span), Ident::new_raw(keyword, span));
        }
    }
}
