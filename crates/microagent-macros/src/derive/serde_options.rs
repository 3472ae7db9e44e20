//! The user's serde options, and their effect on a signal's arguments.

use syn::{Attribute, Expr, ExprLit, Lit, Result, Token, meta::ParseNestedMeta, parenthesized};

use crate::problems::Problems;

/// Rejects options that serialize a struct as something other than its fields.
pub(super) fn check_struct(attributes: &[Attribute], problems: &mut Problems) {
    for option in options(attributes) {
        match option.name.as_str() {
            "rename_all" => problems.at_span(
                option.span,
                "`rename_all`: handlers ask for an argument by its field's name, so the fields have the names on the wire",
            ),
            "transparent" | "tag" | "untagged" | "from" | "try_from" | "into" => problems.at_span(
                option.span,
                format!(
                    "`{}`: a signal is written as the object of its fields, which are its arguments",
                    option.name
                ),
            ),
            _ => {}
        }
    }
}

/// Rejects options that change the name or place of a field; returns whether serde writes it by its own type.
pub(super) fn check_field(attributes: &[Attribute], wire: &str, problems: &mut Problems) -> bool {
    let mut by_type = true;
    for option in options(attributes) {
        match option.name.as_str() {
            "rename" if option.text.as_deref() == Some(wire) => {}
            "rename" => problems.at_span(
                option.span,
                "`rename`: handlers ask for an argument by its field's name, so the field has the name on the wire \
                 (a keyword is written `r#type`)",
            ),
            "flatten" => problems.at_span(option.span, "`flatten`: each argument of a signal is a field of its own"),
            "skip" | "skip_serializing" | "skip_deserializing" | "skip_serializing_if" => problems.at_span(
                option.span,
                format!("`{}`: every argument of a signal is sent; what may be absent is an `Option`, sent as `null`", option.name),
            ),
            "with" | "serialize_with" | "deserialize_with" => by_type = false,
            _ => {}
        }
    }
    by_type
}

/// One option inside `#[serde(…)]`.
struct SerdeOption {
    name: String,
    span: proc_macro2::Span,
    /// The value, if it is a text.
    text: Option<String>,
}

/// Reads the options. Invalid ones are left to serde.
fn options(attributes: &[Attribute]) -> Vec<SerdeOption> {
    let mut found = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        let read = attribute.parse_nested_meta(|meta| {
            if let Some(name) = meta.path.get_ident() {
                found.push(SerdeOption {
                    name: name.to_string(),
                    span: name.span(),
                    text: value(&meta)?,
                });
            }
            Ok(())
        });
        drop(read);
    }
    found
}

fn value(meta: &ParseNestedMeta<'_>) -> Result<Option<String>> {
    if meta.input.peek(syn::token::Paren) {
        let inside;
        parenthesized!(inside in meta.input);
        inside.parse::<proc_macro2::TokenStream>()?;
        return Ok(None);
    }
    if !meta.input.peek(Token![=]) {
        return Ok(None);
    }
    match meta.value()?.parse()? {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(Some(text.value())),
        _ => Ok(None),
    }
}
