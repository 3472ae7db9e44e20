//! JSON text without the white space between its tokens. Values are not decoded, so they cannot change.

use std::borrow::Cow;

/// Removes the white space between the tokens of a JSON text. Every token keeps its bytes: numbers of any size, equal
/// keys, and escapes that are not characters.
///
/// A text that is not valid JSON is treated in the same way. If two of its tokens would become one, a space stays.
///
/// ```
/// use microagent_schema::compact;
///
/// let json = "{\"a b\": 1e400,\n \"a b\": [\"\\ud800\", 1]}";
/// assert_eq!(compact(json), "{\"a b\":1e400,\"a b\":[\"\\ud800\",1]}");
/// assert_eq!(compact("1\n2 , 3"), "1 2,3");
/// ```
#[must_use]
pub fn compact(json: &str) -> Cow<'_, str> {
    let mut tokens = Tokens { rest: json };
    let first = tokens.next().unwrap_or_default();
    if first.len() == json.len() {
        return Cow::Borrowed(json);
    }
    let mut compacted = String::with_capacity(json.len());
    compacted.push_str(first);
    for run in tokens {
        if joins(compacted.as_bytes().last()) && joins(run.as_bytes().first()) {
            compacted.push(' ');
        }
        compacted.push_str(run);
    }
    Cow::Owned(compacted)
}

/// Returns whether a token would continue in another byte of this kind. All tokens but strings and punctuation do.
fn joins(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| !matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':'))
}

/// The longest runs without white space outside of strings.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start_matches(is_space);
        if text.is_empty() {
            return None;
        }
        let (run, rest) = text.split_at(end_of_run(text.as_bytes()));
        self.rest = rest;
        Some(run)
    }
}

/// Returns the white space of JSON, which is not that of Unicode.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn end_of_run(text: &[u8]) -> usize {
    let (mut in_string, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        let cases = [
            ("", ""),
            (" \r\n\t", ""),
            ("{}", "{}"),
            (" [ 1 , 2 ] ", "[1,2]"),
            (
                r#"{ "a\" b" : "\\" , "c" : " " }"#,
                r#"{"a\" b":"\\","c":" "}"#,
            ),
            ("\"a\nb\" \"c\"", "\"a\nb\"\"c\""),
            ("\"never closed  ", "\"never closed  "),
            ("tru e", "tru e"),
            ("\u{a0}1 \u{2028}2", "\u{a0}1 \u{2028}2"),
        ];
        for (json, expected) in cases {
            assert_eq!(compact(json), expected, "{json:?}");
        }
    }

    #[test]
    fn compact_text_is_not_copied() {
        let json = r#"{"a b":[1,"c\td"]}"#;
        assert!(matches!(compact(json), Cow::Borrowed(same) if same == json));
    }
}
