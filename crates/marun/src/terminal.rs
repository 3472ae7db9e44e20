//! Escapes control characters in text that is written to a terminal.
//!
//! They are escaped as in JSON (`\u001b`), so that a line of JSON stays valid. Text for files and
//! pipes is not changed.

use std::{borrow::Cow, fmt::Write as _, io::IsTerminal};

/// The sequence that ends all colours.
const PLAIN: &str = "\x1b[0m";

/// Returns the text for `stream`: escaped if that is a terminal, otherwise unchanged.
pub(crate) fn shown_on<'t>(stream: &impl IsTerminal, text: &'t str) -> Cow<'t, str> {
    if stream.is_terminal() {
        escaped(text)
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the text with all control characters escaped, except tabs.
///
/// Characters that change the direction of the text are escaped too, because they would display it
/// in another order.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(is_control) {
        Cow::Owned(text.chars().fold(String::new(), |mut shown, c| {
            push(&mut shown, c);
            shown
        }))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the line like [`escaped`], but keeps colours (SGR sequences) and ends them with the
/// line.
pub(crate) fn escaped_but_colors(line: &str) -> Cow<'_, str> {
    if !line.contains(is_control) {
        return Cow::Borrowed(line);
    }
    let (mut shown, mut rest, mut colored) = (String::with_capacity(line.len()), line, false);
    while let Some(at) = rest.find(is_control) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = color_length(rest);
        if length > 0 {
            shown.push_str(&rest[..length]);
            rest = &rest[length..];
            colored = true;
        } else {
            let mut chars = rest.chars();
            chars.by_ref().take(1).for_each(|c| push(&mut shown, c));
            rest = chars.as_str();
        }
    }
    shown.push_str(rest);
    if colored {
        shown.push_str(PLAIN);
    }
    Cow::Owned(shown)
}

/// Returns the length of the SGR sequence at the beginning of the text, or 0 if there is none.
fn color_length(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\x1b[") else {
        return 0;
    };
    let is_parameter = |c: char| c.is_ascii_digit() || matches!(c, ';' | ':');
    let after = parameters.trim_start_matches(is_parameter);
    if after.starts_with('m') {
        text.len() - after.len() + 1
    } else {
        0
    }
}

/// Returns whether a terminal interprets this character instead of displaying it.
fn is_control(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\t') || turns
}

fn push(shown: &mut String, c: char) {
    if is_control(c) {
        // All of them have at most four digits. Writing to a string cannot fail.
        let _ = write!(shown, "\\u{:04x}", u32::from(c));
    } else {
        shown.push(c);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let cases = [
            ("plain ü\t", "plain ü\t"),
            ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
            ("a\rb\nc\0", "a\\u000db\\u000ac\\u0000"),
            ("\x7f\u{9b}2J", "\\u007f\\u009b2J"),
            ("\u{202e}txt", "\\u202etxt"),
            ("\x1b[31mred", "\\u001b[31mred"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn escaped_json_stays_valid() {
        let text = "{\"a\":\"\u{9b}2J\u{7f}\"}";
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&escaped(text)), value(text));
    }

    #[test]
    fn colours_end_with_their_line() {
        let cases = [
            ("plain", "plain"),
            ("\x1b[1;31mred\x1b[m", "\x1b[1;31mred\x1b[m\x1b[0m"),
            ("a\x1b[38:5:9mb", "a\x1b[38:5:9mb\x1b[0m"),
            ("\x1b[2J\x1b[Hx", "\\u001b[2J\\u001b[Hx"),
            ("\x1b[31", "\\u001b[31"),
            ("\x1b", "\\u001b"),
            ("\x1b\x1b[1mü\r", "\\u001b\x1b[1mü\\u000d\x1b[0m"),
        ];
        for (line, expected) in cases {
            assert_eq!(escaped_but_colors(line), expected, "{line:?}");
        }
    }

    #[test]
    fn text_for_files_is_not_escaped() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(shown_on(&file, "\x1b[2J"), "\x1b[2J");
    }
}
