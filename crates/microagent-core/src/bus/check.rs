//! Payloads against their declaration: a quick look at each, and the full sentence only for those that do not fit.

use microagent_schema::{JsonType, SignalDeclaration};
use serde_json::value::RawValue;

use crate::Fields;

/// How the payload breaks the declaration, in one sentence; `None` when it does not.
pub(crate) fn misfit(declared: &SignalDeclaration, fields: &Fields<'_>) -> Option<String> {
    if fits(declared, fields) {
        return None;
    }
    let args = fields.except(&[]).ok()?;
    let violations = declared.violations(&args.0);
    let sentences: Vec<_> = violations.iter().map(ToString::to_string).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn fits(declared: &SignalDeclaration, fields: &Fields<'_>) -> bool {
    let known = |(name, raw): (&str, &RawValue)| {
        declared
            .argument(name)
            .is_some_and(|argument| argument.accepts(type_of(raw)))
    };
    fields.len() == declared.arguments.len() && fields.iter().all(known)
}

/// The type of a JSON text, told by its first character.
fn type_of(raw: &RawValue) -> JsonType {
    match raw.get().as_bytes().first() {
        Some(b'"') => JsonType::String,
        Some(b't' | b'f') => JsonType::Boolean,
        Some(b'[') => JsonType::Array,
        Some(b'{') => JsonType::Object,
        Some(b'n') => JsonType::Null,
        _ => JsonType::Number,
    }
}

#[cfg(test)]
mod tests {
    use microagent_schema::Declarations;

    use super::*;

    #[test]
    fn a_payload_that_fits_is_silent_and_one_that_does_not_is_named() {
        let file =
            r#"{"signals":[{"name":"s","providing_args":{"a":"number","b":["string","null"]}}]}"#;
        let declared = Declarations::parse(file).unwrap();
        let misfit =
            |body: &str| misfit(&declared.signals[0], &Fields::of(body.as_bytes()).unwrap());
        assert_eq!(misfit(r#"{"a":-1.5,"b":null}"#), None);
        assert_eq!(misfit(r#"{"a":1,"a":2,"b":"x"}"#), None);
        assert_eq!(
            misfit(r#"{"a":"1"}"#).unwrap(),
            "argument `a` must be a number, but is a string; argument `b` is missing"
        );
        assert_eq!(
            misfit(r#"{"a":1,"b":"","c":1}"#).unwrap(),
            "argument `c` is not declared"
        );
    }
}
