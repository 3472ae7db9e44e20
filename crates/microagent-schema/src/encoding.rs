//! Decoding of files. The formats of this crate are UTF-8; some editors put a byte order mark in front.

use std::fmt;

/// The byte order mark at the start of a text.
const MARK: char = '\u{feff}';

/// Returns the text without a byte order mark at its start.
///
/// ```
/// assert_eq!(microagent_schema::without_mark("\u{feff}{}"), "{}");
/// ```
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// Decodes the UTF-8 of a file, with or without a byte order mark.
///
/// ```
/// use microagent_schema::decode_text;
///
/// assert_eq!(decode_text(b"\xef\xbb\xbf{}".to_vec()).unwrap(), "{}");
/// let error = decode_text(b"\xff\xfe{\0}\0".to_vec()).unwrap_err();
/// assert_eq!(error.to_string(), "invalid encoding `UTF-16`: expected UTF-8");
/// ```
///
/// # Errors
/// [`TextError`] for UTF-16, UTF-32 and anything else that is not UTF-8.
pub fn decode_text(bytes: Vec<u8>) -> Result<String, TextError> {
    if let Some(encoding) = foreign_mark(&bytes) {
        return Err(TextError(format!(
            "invalid encoding `{encoding}`: expected UTF-8"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        TextError(format!("invalid encoding at byte {at}: expected UTF-8"))
    })?;
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn foreign_mark(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// Bytes that are not UTF-8 text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError(String);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<String, String> {
        decode_text(bytes.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mark_is_not_part_of_the_text() {
        assert_eq!(decode(b"a").unwrap(), "a");
        assert_eq!(decode(b"\xef\xbb\xbfa\xef\xbb\xbf").unwrap(), "a\u{feff}");
        assert_eq!(decode(b"").unwrap(), "");
    }

    #[test]
    fn other_encodings_are_named() {
        let cases: [(&[u8], &str); 5] = [
            (b"\xff\xfe{\0", "invalid encoding `UTF-16`: expected UTF-8"),
            (b"\xfe\xff\0{", "invalid encoding `UTF-16`: expected UTF-8"),
            (b"\xff\xfe\0\0", "invalid encoding `UTF-32`: expected UTF-8"),
            (b"\0\0\xfe\xff", "invalid encoding `UTF-32`: expected UTF-8"),
            (b"ab\xfc", "invalid encoding at byte 2: expected UTF-8"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(decode(bytes).unwrap_err(), expected);
        }
    }
}
