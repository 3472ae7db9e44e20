//! Checks of payloads against their declaration: a quick check of each payload, and a full description only
//! of those that do not fit.

use microagent_schema::{JsonType, SignalDeclaration};
use serde_json::value::RawValue;

use crate::{Fields, text::shortened};

/// The maximum number of undeclared arguments that a message names: a payload may have a million.
const UNDECLARED: usize = 10;

/// Describes how the payload breaks the declaration, in one sentence. Returns `None` if the payload fits.
/// The check does not decode values, so a value that cannot be decoded does not make it fail.
pub(crate) fn misfit(declared: &SignalDeclaration, fields: &Fields<'_>) -> Option<String> {
    if fits(declared, fields) {
        return None;
    }
    let mut undeclared = 0;
    let mut is_named = |name: &str| {
        undeclared += usize::from(declared.argument(name).is_none());
        declared.argument(name).is_some() || undeclared <= UNDECLARED
    };
    let types = fields.iter().filter(|(name, _)| is_named(name));
    let violations = declared.violations_of_types(types.map(|(name, raw)| (name, type_of(raw))));
    let mut sentences: Vec<_> = violations.iter().map(ToString::to_string).collect();
    if undeclared > UNDECLARED {
        let more = undeclared - UNDECLARED;
        sentences.push(format!("{more} more arguments are not declared"));
    }
    (!sentences.is_empty()).then(|| shortened(sentences.join("; ")))
}

/// Returns `true` if there are as many fields as declared arguments and each argument is among the fields
/// with an accepted type. Then no field is a duplicate of another.
fn fits(declared: &SignalDeclaration, fields: &Fields<'_>) -> bool {
    fields.len() == declared.arguments.len()
        && declared.arguments.iter().all(|argument| {
            let found = fields.raw(&argument.name).map(type_of);
            found.is_some_and(|found| argument.accepts(found))
        })
}

/// Returns the type of a JSON text, which its first character determines.
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
    fn of_many_undeclared_arguments_the_first_are_named_and_the_rest_counted() {
        let declared = SignalDeclaration::untyped("s", ["a"]);
        let fields: Vec<_> = (0..1000).map(|n| format!("\"x{n}\":0")).collect();
        let body = format!("{{{},\"a\":0}}", fields.join(","));
        let text = misfit(&declared, &Fields::of(body.as_bytes()).unwrap()).unwrap();
        assert!(
            text.starts_with("argument `x0` is not declared; "),
            "{text}"
        );
        assert!(
            text.ends_with("; 990 more arguments are not declared"),
            "{text}"
        );
        assert!(!text.contains("`a`") && !text.contains("`x10`"), "{text}");
    }

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

    #[test]
    fn a_value_that_cannot_be_decoded_hides_no_violation() {
        let file = r#"{"signals":[{"name":"s","providing_args":{"a":"number","b":"string"}}]}"#;
        let declared = Declarations::parse(file).unwrap();
        let nested = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for odd in ["1e400", r#""\ud800""#, &nested] {
            let body = format!(r#"{{"a":1,"x":{odd}}}"#);
            let misfit = misfit(&declared.signals[0], &Fields::of(body.as_bytes()).unwrap());
            assert_eq!(
                misfit.as_deref(),
                Some("argument `b` is missing; argument `x` is not declared"),
                "{body}"
            );
        }
    }

    #[test]
    fn a_name_that_stands_twice_does_not_stand_for_another() {
        let file = r#"{"signals":[{"name":"s","providing_args":["a","b"]}]}"#;
        let declared = Declarations::parse(file).unwrap();
        let misfit = misfit(
            &declared.signals[0],
            &Fields::of(br#"{"a":1,"a":2}"#).unwrap(),
        );
        assert_eq!(misfit.as_deref(), Some("argument `b` is missing"));
    }
}
